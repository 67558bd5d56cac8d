"""The two functions to compare: the project's own, and one that does nothing."""

from pathlib import Path

from bench import server

OURS = Path(__file__).parents[1] / "function/main.py"
EMPTY = Path(__file__).parent / "function_empty/main.py"

SETTINGS = {
    "GOOGLE_CLOUD_PROJECT": "bench-project",
    "GKE_GATEWAY_URL": "https://10.128.0.5",
    "GKE_GATEWAY_HOST": server.HOST,
    "JWT_ISSUER": "https://issuer.example",
    "JWT_AUDIENCE": "user-profile",
    "JWT_SCOPE": "profile.read",
    "SIGNING_KEY_SECRET_ID": "projects/bench-project/secrets/signing-key/versions/1",
    "BIGQUERY_TABLE": "bench-project.events.enriched",
    "DEAD_LETTER_TOPIC": "projects/bench-project/topics/dead-letters",
}
"""All that the function wants at its start; it touches no network before an event comes."""
