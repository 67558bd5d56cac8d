"""BigQuery's Storage Write API (google.cloud.bigquery.storage.v1.BigQueryWrite) over the tables of the fake.

It has all methods of the service: AppendRows with rows in protobuf, streams of the three types and the default stream,
offsets, errors by row, default values, and change data capture. Rows in Arrow's format are refused by name.

Sources: the reference of google.cloud.bigquery.storage.v1 (the comments of its .proto files, October 2025),
https://cloud.google.com/bigquery/docs/write-api, /supported-data-types and /change-data-capture, and the integration
tests of Google's clients (googleapis/java-bigquerystorage). The tests here are made with Google's Python client.

What is known, by its source:

- The texts of ALREADY_EXISTS, OUT_OF_RANGE, a finalized stream and a timestamp out of range: Java's integration tests.
  Those of the pointer to `row_errors`, of extra fields, of a request that is too large and of an invalid schema:
  reports of users. A request may have 20 MiB, as the reference and Java's client say; until 2025 it was 10.
- A `proto3_optional` field and a type outside of the descriptor make a schema invalid (python-bigquery-storage#519,
  #726). Wrapper messages and Timestamp are taken, as the page of data types says.
- A table that is missing is NOT_FOUND. Within an unknown dataset or project it is PERMISSION_DENIED "(or it may not
  exist)", which the service answers at times for a missing table as well.

What is not certain, and was decided so:

- Which errors end a call and which are the response to one request. Offsets, a finalized stream, errors by row and
  the quota of throughput are responses, and the call goes on. All else ends it: a client must take either form.
- A row whose partition is too old or too far in the future is an error by row, in the words of insertAll.
- Texts that are worded here alone: a required value or column that is missing, requests without rows, stream or schema,
  offsets of the default stream, refusals of FlushRows and BatchCommitWriteStreams.
- A flush up to a row that was flushed before is ALREADY_EXISTS, and one of a finalized stream INVALID_ARGUMENT: Beam's
  handling of these codes says so, and nothing else does.
- Bytes that are no message of the schema are an error of their row. Fields on the wire that the schema does not have
  are passed over.
- A row that deletes needs the columns of the key alone, whatever else the table requires.
- Change types where the table has no primary key are refused with the sentence that Go's tests saw. Others saw
  `_change_type` named as an extra field.

What is otherwise than in the service: a new column is known at once, and not after some minutes. Streams do not end
when nothing comes by them. Quotas are not counted, but for calls that are open at
once. `x-goog-request-params` is not asked for; the service needs it to find the region of some datasets. There are no
columns of the types that the REST API of the fake does not offer, such as BIGNUMERIC and GEOGRAPHY, and no
`column_name` option.
"""
