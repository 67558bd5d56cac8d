"""Parts of a release: versions, artefacts and their checks, changelog, licences (docs/release.md)."""
