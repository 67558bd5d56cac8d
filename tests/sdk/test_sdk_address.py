"""Where a client calls, and where it refuses to."""

import meshpass
import pytest
from meshpass._address import Address, parse_address, parse_origin, plaintext_problem


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://user-profile.internal", "https://user-profile.internal"),
        ("HTTPS://User-Profile.Internal:443/", "https://user-profile.internal"),
        ("http://user_profile.internal:8080", "http://user_profile.internal:8080"),
        ("http://[::1]:80", "http://[::1]"),
        ("https://[fd00::1]:8443", "https://[fd00::1]:8443"),
    ],
)
def test_an_origin_is_scheme_host_and_port(url: str, expected: str) -> None:
    assert parse_origin(url).url == expected


@pytest.mark.parametrize(
    "url",
    [
        "",
        "user-profile.internal",
        "ftp://h.internal",
        "https://",
        "https://user:secret@h.internal",
        "https://@h.internal",
        "https://h.internal/path",
        "https://h.internal?",
        "https://h.internal?a=b",
        "https://h.internal#",
        "https://h.internal:99999",
        "https://h.internal:0",
        "https://h.internal:x",
        "https://h.internal:",
        "https://h.internal.",
        "https://h..internal",
        "https://-h.internal",
        "https://h internal",
        "https://h.internal\n",
        "https://ü.internal",
        "https://2130706433",
        "https://127.1",
        "https://0x7f000001",
        "https://h%2einternal",
        "https://[::1",
        "https://" + "a" * 64 + ".internal",
    ],
)
def test_anything_more_or_less_than_an_origin_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"^(is|must|has|does|ends) ") as caught:
        parse_origin(url)

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10.128.0.5", Address("10.128.0.5", 443)),
        ("10.128.0.5:8443", Address("10.128.0.5", 8443)),
        ("10.128.0.5:80", Address("10.128.0.5", 80)),
        ("gateway.internal:1", Address("gateway.internal", 1)),
        ("fd00::1", Address("fd00::1", 443)),
        ("[fd00::1]:8443", Address("fd00::1", 8443)),
    ],
)
def test_an_address_takes_the_origins_port_unless_it_has_its_own(text: str, expected: Address) -> None:
    assert parse_address(text, 443) == expected


@pytest.mark.parametrize(
    "text", ["", "https://10.0.0.1", "10.0.0.1/x", "a@10.0.0.1", "10.0.0.1:", "10.0.0.1:0", ":80"]
)
def test_anything_but_an_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^(is|must|has|does|ends) "):
        parse_address(text, 443)


@pytest.mark.parametrize(
    "address",
    [
        "10.1.2.3",
        "172.31.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.1.1",
        "127.0.0.1",
        "::1",
        "fd00::1",
        "fe80::1",
        "::ffff:10.0.0.1",
        "localhost",
    ],
)
def test_plaintext_is_allowed_to_private_addresses(address: str) -> None:
    assert plaintext_problem(parse_origin("http://h.internal"), parse_address(address, 80)) is None


@pytest.mark.parametrize(
    "address",
    ["8.8.8.8", "172.32.0.1", "100.128.0.1", "2600::1", "::ffff:8.8.8.8", "0.0.0.0", "gateway.internal"],
)
def test_plaintext_is_refused_where_the_token_could_be_read(address: str, auth: meshpass.SignedJWT) -> None:
    with pytest.raises(meshpass.ConfigurationError, match="would send the caller's token unencrypted"):
        meshpass.Client("http://h.internal", auth=auth, address=address)
    assert meshpass.Client("https://h.internal", auth=auth, address=address)


def test_plaintext_to_a_name_without_an_address_is_refused(auth: meshpass.SignedJWT) -> None:
    with pytest.raises(meshpass.ConfigurationError, match="is a name, which may lead anywhere"):
        meshpass.AsyncClient("http://h.internal", auth=auth)


def test_all_wrong_arguments_are_reported_at_once(auth: meshpass.SignedJWT) -> None:
    with pytest.raises(meshpass.ConfigurationError) as caught:
        meshpass.Client(
            "nowhere",
            auth=auth,
            address="https://x",
            ca_file="/nowhere/ca.crt",
            timeout_s=0,
            connect_timeout_s=-1,
        )

    starts = [problem.split()[0] for problem in caught.value.problems]
    assert starts == ["timeout_s", "connect_timeout_s", "ca_file", "base_url", "address"]


def test_an_address_needs_a_name_to_be_called_by(auth: meshpass.SignedJWT) -> None:
    with pytest.raises(meshpass.ConfigurationError, match="virtual host's name"):
        meshpass.Client("https://10.0.0.1", auth=auth, address="10.0.0.2")
