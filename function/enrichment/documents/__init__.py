"""JSON documents: parsing them strictly, and finding values in them."""

from enrichment.documents.walk import NoObjectError, find

__all__ = ["NoObjectError", "find"]
