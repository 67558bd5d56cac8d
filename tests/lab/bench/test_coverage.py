"""The table of coverage says what the readers do."""

from __future__ import annotations

from meshlab.bench.read_fields import coverage_rows, field_rows, markdown_table
from meshlab.istio.read import mesh_config_fields, outbound_fields
from meshlab.istio.read.object_kinds import NOT_ENFORCED, READ, REFUSED, WITHOUT_TRAFFIC

ROWS = coverage_rows()


def disposition(kind: str, field: str) -> list[tuple[str, str]]:
    return [(row.disposition, row.reason) for row in ROWS if row.kind == kind and row.field == field]


def test_every_kind_is_in_the_table() -> None:
    kinds = [row.kind.partition(" ")[0].rstrip(",") for row in ROWS if not row.field]

    assert (
        sorted(name for _, name in {*READ, *REFUSED, *NOT_ENFORCED, *WITHOUT_TRAFFIC} if name not in kinds)
        == []
    )


def test_a_field_that_is_read_is_in_the_table() -> None:
    kind = "VirtualService (networking.istio.io)"
    assert disposition(kind, "spec.http[].match[].uri.prefix") == [("read", "")]
    assert disposition(kind, "spec.http[].match[].headers.*.exact") == [("read", "")]
    assert disposition(kind, "spec.http[].route[].headers.request.set") == [("read", "")]


def test_a_field_that_is_refused_is_in_the_table_with_what_to_do() -> None:
    ((found, reason),) = disposition("DestinationRule (networking.istio.io)", "spec.trafficPolicy.tunnel")
    assert found == "refused"
    assert reason.endswith("remove it.")


def test_a_field_of_which_some_values_are_refused_is_in_the_table() -> None:
    reason = outbound_fields.FIELDS_REFUSED["networking.istio.io", "Sidecar"]["egress[].captureMode"]
    found = disposition("Sidecar (networking.istio.io)", "spec.egress[].captureMode")
    assert found == [("some values refused", reason)]


def test_a_field_that_is_passed_over_is_in_the_table_with_the_reason() -> None:
    reason = outbound_fields.EJECTS
    kind, field = "DestinationRule (networking.istio.io)", "spec.trafficPolicy.outlierDetection.interval"
    assert disposition(kind, field) == [("passed over", reason)]
    for name, why in mesh_config_fields.PASSED_OVER.items():
        assert disposition("MeshConfig", name) == [("passed over", why)]


def test_a_label_or_annotation_that_is_read_is_in_the_table() -> None:
    kind = "AuthorizationPolicy (security.istio.io)"
    assert disposition(kind, 'metadata.annotations."istio.io/dry-run"') == [("read", "")]


def test_the_markdown_has_every_field() -> None:
    page = markdown_table(ROWS)
    names = {row.field.rpartition(".")[2].strip('"') for row in field_rows() if '"' not in row.field}
    assert sorted(name for name in names if f"`{name}`" not in page) == []
