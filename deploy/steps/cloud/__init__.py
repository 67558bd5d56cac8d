"""Reading of Google Cloud: questions, their answers by gcloud or from a recording, and the parts of an answer."""
