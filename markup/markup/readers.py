"""Readers have no cookies: what a browser sends by that name is not read outside the admin.

Session and CSRF leave no trace in a response as long as nobody touches them, but a request that brings a
stale or mutilated cookie is enough to have one set or deleted, and a shared cache would hand that on to
others. Without the cookie there is nothing to answer: a page for readers is the same for everybody, by
construction.
"""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

ADMIN = "/admin/"


def is_for_authors(request: HttpRequest) -> bool:
    """Whether the request is for the part of the site that has users."""
    return request.path_info.startswith(ADMIN)


class NoCookiesForReadersMiddleware:
    """Takes the cookies from requests for readers' pages, before anything reads them."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer the request, without its cookies unless it is an author's."""
        if not is_for_authors(request):
            request.META.pop("HTTP_COOKIE", None)
        return self.get_response(request)
