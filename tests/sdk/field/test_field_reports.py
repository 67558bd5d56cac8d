"""Public reports about comparable libraries, and the tests that show what this package does in the same case.

Each line is a report, or a case that was found beside one, and a test in `tests/`. Where a case needs no test of its
own, the line names the one that has it. `test_every_line_names_a_test` keeps the names true.

Responses
    GHSA-gm62-xv2j-4w53, undici#4729: chain of content codings | sdk/test_sdk_content_coding.py::test_a_body_that_costs_work_and_gives_nothing_is_refused
    urllib3#1289: several gzip members | sdk/test_sdk_content_coding.py::test_a_gzip_of_several_members_is_decoded_whole
    urllib3#1289: many gzip members, in linear time | sdk/test_sdk_content_coding.py::test_the_work_grows_with_the_body_and_comes_in_small_slices
    decoding within the deadline | sdk/test_sdk_content_coding.py::test_the_deadline_ends_the_decoding
    decoding beside other tasks | sdk/test_sdk_content_coding.py::test_other_tasks_run_while_a_body_is_decoded
    urllib3#75, #5271: bytes after gzip; aiohttp#1931: bogus Content-Encoding | sdk/test_sdk_content_coding.py::test_a_body_that_httpx_gives_is_given_here
    aiohttp#13364: gzip, gzip; aiohttp#1769: HEAD; http-client#521: 100, 102, 103 | sdk/field/test_field_responses.py::test_a_response_is_read_to_its_end_and_its_connection_used_again
    aiohttp#3979: unsolicited responses, behind a response | sdk/field/test_field_responses.py::test_a_connection_that_may_be_out_of_step_is_not_used_again
    aiohttp#3979: unsolicited responses, while idle; stray 408; idle close | sdk/field/test_field_responses.py::test_what_an_idle_connection_says_is_no_response_to_the_next_call
    aiohttp#4435: compressed Transfer-Encoding; lengths, folded fields, floods | sdk/field/test_field_responses.py::test_a_response_that_is_none_is_an_error_at_once_and_harms_no_later_call
    responses that are cut | sdk/field/test_field_responses.py::test_a_response_that_is_cut_is_never_taken_for_whole
    flood of interim responses | sdk/field/test_field_responses.py::test_interim_responses_without_an_end_are_ended
    any response, beside h11 | sdk/test_sdk_wire.py::test_an_answer_is_read_as_h11_reads_it_however_it_is_cut
    h11#95: status 600, 999 | sdk/test_sdk_wire.py::test_a_status_that_is_none_of_http_is_a_response
    h11#95: sent once | sdk/test_sdk_clients.py::test_a_status_that_is_none_of_http_is_returned_and_sent_once
    HTTP/2, TLS, bare line feeds | sdk/test_sdk_clients.py::test_a_peer_of_another_protocol_is_reported_at_once_and_not_asked_again
    10 MB in chunks of 2 bytes | sdk/test_sdk_wire.py::test_a_body_in_small_chunks_takes_the_memory_of_its_bytes
    wpull#145: non-ASCII cookie | sdk/test_sdk_cookies.py::test_no_cookie_breaks_a_later_call
    anthropic-sdk-python#1827, urllib3#1822, #3743: Retry-After | sdk/field/test_field_responses.py::test_no_retry_after_leaves_a_call_as_a_raw_error_or_an_endless_wait
    any response | sdk/test_sdk_fuzz.py::test_any_response_is_one_or_an_error_of_this_package

Requests
    aiohttp#3281, #10325: response before the upload ended | sdk/test_sdk_uploads.py::test_a_response_that_comes_before_the_upload_ended_is_returned_and_its_connection_used_no_more
    urllib3#857: sending counted as connecting | sdk/test_sdk_uploads.py::test_both_clients_say_that_a_part_of_the_request_may_have_been_sent
    urllib3#3045, requests#6917: Content-Length of arrays and views | sdk/test_sdk_arguments.py::test_content_is_sent_whole_with_its_length_in_bytes
    CRLF, hosts, paths | sdk/test_sdk_clients.py::test_what_cannot_be_sent_safely_is_refused_before_anything_is_sent
    CRLF in the query | sdk/test_sdk_clients.py::test_a_line_break_in_the_query_stays_in_the_query
    CRLF in the deadline's header | sdk/test_sdk_arguments.py::test_a_deadline_header_must_be_the_name_of_a_header
    CRLF of a propagator | sdk/test_sdk_telemetry.py::test_what_a_propagator_writes_is_sent_only_if_it_is_a_header
    paths | sdk/test_sdk_path.py::test_a_value_never_leaves_its_segment
    hosts, IDN | sdk/test_sdk_address.py::test_anything_more_or_less_than_an_origin_is_refused
    IPv6 | sdk/field/test_field_programs.py::test_a_gateway_is_reached_at_an_address_of_ipv6
    redirects | sdk/test_sdk_clients.py::test_redirects_are_not_followed
    foreign 401 | sdk/test_sdk_auth.py::test_requests_gives_no_token_to_another_host_that_asks_for_one
    foreign 401 | sdk/test_sdk_auth.py::test_httpx_gives_no_token_to_another_host_that_asks_for_one
    text, NaN | sdk/test_sdk_arguments.py::test_an_argument_that_cannot_be_sent_is_an_invalid_request
    deadline without an end | sdk/test_sdk_arguments.py::test_a_deadline_without_an_end_is_a_configuration_error
    any arguments | sdk/test_sdk_fuzz.py::test_any_arguments_of_a_call_give_a_response_or_an_error_of_this_package
    True and None as parameters | sdk/test_sdk_arguments.py::test_params_are_written_as_httpx_writes_them
    UUID in a path | sdk/test_sdk_arguments.py::test_a_path_value_may_be_a_number_a_date_or_a_uuid
    placeholder that is named params | sdk/test_sdk_arguments.py::test_a_placeholder_may_have_the_name_of_a_keyword
    keyword with a typo | sdk/test_sdk_arguments.py::test_a_keyword_with_a_typo_names_the_closest_one
    auth="x" | sdk/test_sdk_arguments.py::test_an_auth_that_is_no_source_of_tokens_is_a_configuration_error
    subclass with an `__init__` of its own | sdk/test_sdk_arguments.py::test_a_subclass_with_an_init_of_its_own_has_clients_for_other_services

Connections and programs
    requests#4323, urllib3#850: fork after use | sdk/test_sdk_clients.py::test_a_forked_child_opens_connections_of_its_own
    requests#4323, urllib3#850: fork after use, with asyncio | sdk/test_sdk_loops.py::test_a_child_leaves_its_parents_connections_alone
    httpx#2058: one client in several loops | sdk/test_sdk_loops.py::test_threads_with_loops_of_their_own_share_a_client
    httpx#2058: closed while others run | sdk/test_sdk_loops.py::test_closing_the_client_closes_the_connections_of_other_loops_too
    httpx#2473: asyncio.run again and again | sdk/test_sdk_clients.py::test_one_async_client_works_in_one_event_loop_after_another
    one loop that runs each call alone | sdk/field/test_field_programs.py::test_a_loop_that_runs_one_call_after_the_other_keeps_one_connection
    aiohttp#7342: first address dead | sdk/test_sdk_dialing.py::test_a_dead_first_address_does_not_keep_a_call_from_the_second
    eventlet#608, kubernetes-client#1686: no select.poll | sdk/test_sdk_platforms.py::test_calls_need_no_poll
    requests#3831: gevent | sdk/field/test_field_programs.py::test_requests_3831_greenlets_share_a_client
    idle close | sdk/test_sdk_retries.py::test_many_forced_closes_of_idle_connections_are_no_error
    clock jumps | sdk/test_sdk_virtual_hosts.py::test_connections_from_before_a_suspension_are_not_used_after_it
    clock jumps, of tokens | sdk/test_sdk_cache.py::test_a_wall_clock_that_jumps_makes_one_fetch
    pickling of responses | sdk/test_sdk_answers.py::test_an_answer_is_an_httpx_response_with_its_request
    pickling of errors | sdk/test_sdk_public_surface.py::test_an_error_survives_pickling_with_all_its_fields
    pickling of clients | sdk/field/test_field_programs.py::test_a_client_is_not_copied_with_its_source_of_tokens
    help() | sdk/field/test_field_programs.py::test_help_shows_signatures_without_names_of_the_implementation
    httpcore#1093, #658, httpx#1461: leaks on cancellation | sdk/field/test_field_concurrency.py::test_a_call_that_is_cancelled_at_any_stage_frees_its_place_and_closes_its_connection
    hundreds of tasks, cancelled at random | sdk/field/test_field_concurrency.py::test_tasks_that_are_cancelled_at_random_take_no_response_of_another_and_no_place
    16 threads, timed out at random | sdk/field/test_field_concurrency.py::test_threads_whose_calls_time_out_at_random_take_no_response_of_another_and_no_place
    istio#51581: key rotation under 16 threads of POSTs | sdk/field/test_field_concurrency.py::test_keys_that_rotate_under_sixteen_threads_of_posts_double_none_and_lose_none
    secrets in frames, with asyncio.timeout | sdk/test_sdk_frames.py::test_asyncio_timeout_and_cancellation_of_a_call_hold_no_token
    secrets in frames, with Ctrl-C | sdk/test_sdk_frames.py::test_ctrl_c_at_any_line_of_a_call_holds_no_token
    secrets in frames, of Cloud KMS | sdk/test_sdk_frames.py::test_a_refusal_of_kms_leaves_no_access_token
    secrets in frames, of Secret Manager | sdk/test_sdk_frames.py::test_a_secret_that_arrives_damaged_leaves_no_key

TLS
    lance#8456: CA rotated on disk | sdk/test_sdk_tls_files.py::test_a_ca_bundle_is_read_again_when_it_was_replaced
    lance#8456: client certificate rotated on disk | sdk/test_sdk_tls_files.py::test_a_client_certificate_is_read_again_when_it_was_replaced
    cpython#5266: no close_notify | sdk/test_sdk_tls_files.py::test_a_body_that_ends_with_the_connection_needs_tls_to_say_so
    urllib3#2186: certificate with a CN alone | sdk/test_sdk_tls_files.py::test_a_certificate_without_a_subject_alternative_name_is_refused
    expiry, intermediates, wildcards | sdk/field/test_field_tls.py::test_a_certificate_that_is_not_good_gets_no_request
    intermediates, wildcards | sdk/field/test_field_tls.py::test_a_certificate_that_is_good_is_accepted
    wildcards | sdk/field/test_field_tls.py::test_a_wildcard_is_for_one_label
    tickets | sdk/field/test_field_tls.py::test_session_tickets_disturb_no_call
    old versions | sdk/field/test_field_tls.py::test_a_server_of_tls_1_1_is_refused
    SNI | sdk/test_sdk_tls.py::test_sni_and_host_are_the_virtual_name_and_the_certificate_is_checked_against_it
    certificate of another name | sdk/test_sdk_tls.py::test_a_certificate_for_another_name_is_refused
    mTLS | sdk/test_sdk_virtual_hosts.py::test_a_client_certificate_is_shown_to_a_gateway_that_demands_one
    mTLS, refused | sdk/test_sdk_tls_files.py::test_a_refused_client_certificate_is_a_tls_error_each_time

Keys and tokens
    pyjwt#234: PEM as str | sdk/field/test_field_keys.py::test_pyjwt_234_text_in_place_of_bytes_is_named
    pyjwt#609: line breaks as text, and other forms | sdk/field/test_field_keys.py::test_a_key_that_does_not_sign_is_refused_without_a_word_of_it
    forms of keys | sdk/field/test_field_keys.py::test_a_key_signs
    forms of keys | sdk/test_sdk_keys.py::test_any_other_key_is_refused_by_saying_what_it_is
    google-cloud-python#13389: regional secret | sdk/test_keys_stores.py::test_a_secret_is_asked_for_where_it_is
    google-api-java-client#2591: bare IPv6 metadata host | sdk/google/test_google_fuzz.py::test_the_metadata_server_may_be_a_bare_ipv6_address
    metadata host with a line break or a bad port | sdk/google/test_google_fuzz.py::test_what_cannot_be_a_metadata_host_is_refused_by_the_variables_name
    google-auth#1261: slow metadata server | sdk/google/test_google_metadata.py::test_a_server_that_is_not_ready_yet_is_asked_again
    google-auth#663: absent metadata server | sdk/google/test_google_metadata.py::test_elsewhere_a_silent_address_is_given_up_soon
    metadata server that drips | sdk/google/test_google_web.py::test_a_server_that_drips_its_response_is_given_up_when_time_is_up
    metadata responses | sdk/google/test_google_fuzz.py::test_whatever_a_server_responds_only_a_mesh_error_leaves
    metadata responses without the header | sdk/google/test_google_metadata.py::test_an_answer_without_the_header_is_not_believed
    ID token with deep JSON | sdk/google/test_google_fuzz.py::test_any_text_is_an_id_token_or_an_identity_error
    ID token with an odd `exp` | sdk/google/test_google_fuzz.py::test_an_id_token_with_an_odd_expiry_is_none
    Wycheproof: DER to raw | sdk/test_sdk_kms.py::test_der_becomes_two_numbers_of_32_bytes_however_small
    Wycheproof: P1363 | sdk/testing/test_verifier_strict.py::test_a_signature_has_exactly_64_bytes
    invalid JWS | sdk/testing/test_verifier_strict.py::test_a_header_that_must_be_refused_is

Test kit and command
    what a test's own service raises | sdk/testing/test_testing_gateway.py::test_what_a_function_of_the_test_raises_is_raised_in_the_test
    JSON of a request | sdk/testing/test_testing_requests.py::test_a_body_is_read_as_json_and_text
    kit without other packages | sdk/testing/test_testing_plugin.py::test_the_kit_needs_no_package_but_meshpass_itself
    several hosts | sdk/testing/test_testing_gateway.py::test_each_host_has_a_service_rules_and_requests_of_its_own
    from_env at import | sdk/testing/test_testing_plugin.py::test_a_program_may_call_from_env_when_it_is_imported
    pip install meshpass | docs/test_docs_install.py::test_no_page_installs_by_a_name_that_no_registry_has
    pip install meshpass, in programs | docs/test_docs_install.py::test_no_program_does_so_either
    meshpass --version | sdk/test_cli_commands.py::test_the_version_is_that_of_the_package
    help that is cut | sdk/test_cli_commands.py::test_the_help_is_whole_and_names_every_exit_code
"""  # noqa: E501 - a table

import ast
from pathlib import Path

import pytest

_TESTS = Path(__file__).parents[2]
_LINES = [line.strip() for line in (__doc__ or "").splitlines() if " | " in line]


def _tests_of(file: Path) -> set[str]:
    return {
        node.name
        for node in ast.parse(file.read_text()).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    }


@pytest.mark.parametrize("line", _LINES)
def test_every_line_names_a_test(line: str) -> None:
    file, _, name = line.rpartition(" | ")[2].partition("::")

    assert name in _tests_of(_TESTS / file)


def test_every_test_of_this_folder_has_a_line() -> None:
    folder = Path(__file__).parent
    named = {line.rpartition("::")[2] for line in _LINES}
    there = {test for file in folder.glob("test_*.py") if file != Path(__file__) for test in _tests_of(file)}

    assert there <= named
    assert len(_LINES) > 60
