"""The page: tabs in order, theme, shortcuts."""

import gradio as gr
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware

from ui import endpoints
from ui.access import AnnotatorCookie
from ui.endpoints import Services

YEAR_SECONDS = 365 * 24 * 3600


def build(services: Services) -> gr.Blocks:
    """Return the page with its named endpoints."""
    with gr.Blocks(title="Triptych", analytics_enabled=False) as page:
        gr.Markdown("# Triptych")
        endpoints.register(services)
    return page


def serve(services: Services, host: str, port: int, key: str) -> gr.Blocks:
    """Serve the page in a thread of its own and return it; close it to stop."""
    page = build(services)
    session = Middleware(SessionMiddleware, secret_key=key, session_cookie="triptych", max_age=YEAR_SECONDS)
    page.queue(default_concurrency_limit=16, max_size=128)
    page.launch(
        server_name=host,
        server_port=port,
        prevent_thread_lock=True,
        quiet=True,
        share=False,
        app_kwargs={"middleware": [session, Middleware(AnnotatorCookie)]},
    )
    print(f"Triptych is at http://{host}:{port}")
    return page
