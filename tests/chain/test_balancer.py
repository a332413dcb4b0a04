"""A second proxy before Nginx, set up as docs/how-to/nginx.md says: who is believed, and who is not."""

import re

import pytest

pytestmark = pytest.mark.chain

BALANCER, SOMEBODY = "127.0.0.3", "127.0.0.4"
CLIENT = "198.51.100.7"


@pytest.fixture(params=["portway", "gunicorn"])
def chain(request, own_chain, repository):
    page = (repository / "docs" / "how-to" / "nginx.md").read_text()
    section = re.search(r"## Behind a load balancer.*?(?=\n## )", page, re.DOTALL)[0]
    outside, inside = re.findall(
        r"```nginx\n(.*?)```", section.replace("10.0.0.0/8", f"{BALANCER}/32"), re.DOTALL
    )
    scheme = re.search(r"`(proxy_set_header X-Forwarded-Proto .*?;)`", section)[1]
    changes = {
        "server {": f"{outside}\nserver {{\n{inside}",
        "proxy_set_header X-Forwarded-Proto $scheme;": scheme,
    }
    return own_chain(request.param, "unix", changes=changes)


def seen(chain, source, **fields):
    """Return the client's address and whether it came by https, as Django sees them."""
    told = {name.replace("_", "-"): value for name, value in fields.items()}
    answer = chain.ask("/-probe/seen/", source=source, fields=told).json
    client = answer["client"] if chain.server == "portway" else answer["fields"]["HTTP_X_FORWARDED_FOR"]
    return client, answer["secure"]


def test_the_balancer_is_believed_and_nobody_else(chain):
    assert seen(chain, BALANCER, X_Forwarded_For=CLIENT, X_Forwarded_Proto="https") == (CLIENT, True)
    assert seen(chain, BALANCER, X_Forwarded_For=CLIENT, X_Forwarded_Proto="http") == (CLIENT, False)
    # What stands further left the client may have written itself.
    forged = f"203.0.113.66, {CLIENT}"
    assert seen(chain, BALANCER, X_Forwarded_For=forged, X_Forwarded_Proto="https") == (CLIENT, True)
    assert seen(chain, SOMEBODY, X_Forwarded_For=CLIENT, X_Forwarded_Proto="https") == (SOMEBODY, False)
    assert seen(chain, SOMEBODY) == (SOMEBODY, False)
