"""Endpoints that speak OpenAI's API, and what watches the app: as thin as the page."""
