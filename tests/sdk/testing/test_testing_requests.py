"""What a test's service reads of a request: JSON, text, parameters, forms, chunked bodies."""

import http.client
from collections.abc import Iterator

import httpx
import pytest
from meshpass.testing import FakeGateway, MeshRequest, Request, UploadedFile
from meshpass.testing._fake_server import LocalServer, Reply


def request(body: bytes = b"", content_type: str = "", target: str = "/") -> MeshRequest:
    return MeshRequest("POST", target, {"content-type": content_type} if content_type else {}, body)


def test_a_body_is_read_as_json_and_text() -> None:
    assert request(b'{"a": [1]}').json() == {"a": [1]}
    assert request("Müller".encode()).text == "Müller"
    assert request("Müller".encode("latin-1"), 'text/plain; charset="ISO-8859-1"').text == "Müller"
    with pytest.raises(ValueError, match="Expecting value"):
        request(b"no").json()


def test_parameters_are_decoded_and_repeated_ones_kept() -> None:
    seen = request(target="/a%20b?tag=x&tag=y%20z&empty=")

    assert seen.params == httpx.QueryParams([("tag", "x"), ("tag", "y z"), ("empty", "")])
    assert seen.params.get_list("tag") == ["x", "y z"]
    assert seen.query == {"tag": "y z", "empty": ""}


def test_a_url_encoded_form_has_fields() -> None:
    seen = request(b"a=1&b=%C3%BC&a=2", "application/x-www-form-urlencoded")

    assert (seen.form, seen.files) == ({"a": "2", "b": "ü"}, {})


def test_a_multipart_form_of_httpx_has_fields_and_files() -> None:
    binary = bytes(range(256)) + b"\r\n--x\r\n"
    sent = httpx.Request(
        "POST",
        "http://h/",
        data={"name": "Ada"},
        files={"photo": ("p.png", binary, "image/png"), "empty": ("e", b"")},
    )
    seen = request(sent.read(), sent.headers["content-type"])

    assert seen.form == {"name": "Ada"}
    assert seen.files["photo"] == UploadedFile("p.png", "image/png", binary)
    assert seen.files["empty"].body == b""


@pytest.mark.parametrize(
    ("content_type", "body", "words"),
    [
        ("application/json", b"{}", "not that of a form"),
        ("", b"", "not that of a form"),
        ("multipart/form-data", b"", "no boundary"),
        ("multipart/form-data; boundary=x", b"--x\r\ncut", "does not end"),
    ],
)
def test_a_body_that_is_no_form_is_an_error_that_says_so(content_type: str, body: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        _ = request(body, content_type).form


@pytest.fixture
def seen() -> Iterator[tuple[LocalServer, list[Request]]]:
    requests: list[Request] = []

    def respond(request: Request) -> Reply:
        requests.append(request)
        return Reply()

    server = LocalServer(respond)
    server.start()
    yield server, requests
    server.close()


def test_a_chunked_body_is_joined_and_the_connection_goes_on(seen: tuple[LocalServer, list[Request]]) -> None:
    server, requests = seen
    connection = http.client.HTTPConnection(server.address)
    for body in ([b"one ", b"", b"two"], [b"x" * 70_000], []):
        connection.request(
            "PUT", "/", body=iter(body), encode_chunked=True, headers={"transfer-encoding": "chunked"}
        )
        assert connection.getresponse().read() == b""
    connection.close()

    assert [request.body for request in requests] == [b"one two", b"x" * 70_000, b""]


@pytest.mark.parametrize("framed", [b"zz\r\nab\r\n0\r\n\r\n", b"5\r\nab", b"2\r\nabXX0\r\n\r\n"])
def test_a_broken_chunked_body_is_not_passed_on(
    seen: tuple[LocalServer, list[Request]], framed: bytes
) -> None:
    server, requests = seen
    connection = http.client.HTTPConnection(server.address)
    connection.connect()
    connection.sock.sendall(b"PUT / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n" + framed)
    connection.sock.shutdown(1)

    assert connection.sock.recv(100) == b""
    connection.close()
    assert requests == []


def test_a_service_of_a_test_reads_what_a_client_sent(meshpass_gateway: FakeGateway) -> None:
    with meshpass_gateway.client() as client:
        client.request("POST", "/visits", params={"dry": "1"}, json={"user_id": "u-1"})

    (sent,) = meshpass_gateway.requests
    assert (sent.json(), sent.params["dry"]) == ({"user_id": "u-1"}, "1")
