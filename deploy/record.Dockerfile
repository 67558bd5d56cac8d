# Holds the package and its bill of materials for Cloud Build's provenance; nothing runs it. See docs/cloud-build.md.
FROM scratch
COPY function /function
COPY function.inputs function.cdx.json /
