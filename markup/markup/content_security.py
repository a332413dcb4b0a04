"""The Content-Security-Policy of every response: what a page may load, and that nothing else runs.

A reader's page has no script at all, so the policy needs no nonce and is the same for every page.
"""

from collections.abc import Callable

from django.conf import settings
from django.core.exceptions import MiddlewareNotUsed
from django.http import HttpRequest, HttpResponse

from markup.readers import is_for_authors

READER_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' https:; media-src 'self' https:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# The admin has scripts and forms of its own, all from files.
ADMIN_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' https: data:; font-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
# The page for a failure carries its own style, because the failure may be that of the style sheet.
FAILURE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"


class ContentSecurityPolicyMiddleware:
    """Adds the policy to responses that bring none; not in use with DEBUG, whose error pages have scripts."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]):
        if settings.DEBUG:
            raise MiddlewareNotUsed
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer the request and add the policy for what was answered."""
        response = self.get_response(request)
        if response.status_code == 500:
            policy = FAILURE_POLICY
        elif is_for_authors(request):
            policy = ADMIN_POLICY
        else:
            policy = READER_POLICY
        response.headers.setdefault("Content-Security-Policy", policy)
        return response
