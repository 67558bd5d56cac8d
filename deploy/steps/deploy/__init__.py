"""Deployment of a function: its command of gcloud, its order, its subscription and who may call it."""
