"""wire.md: services, and who may call what."""

from __future__ import annotations

from jobrun.auth.access import ACCESS
from reference.markdown import code, page, paragraph, section, table
from reference.protocol import PACKAGE, Method, Service, protocol

INTRODUCTION = """\
The protocol of a jobrun server: gRPC, package `jobrun.v1`. The files in `proto/` are what a program is generated from,
and say what each message and field means: a job is in [job.proto](../../proto/jobrun/v1/job.proto). Fields are added,
never renumbered or reused. This page says which calls there are, and who may make them.
"""
TOKENS = """\
A call carries its token in the metadata `authorization`, as `Bearer TOKEN`. On a private server's socket, and on a
server that runs with `--insecure`, no call needs one.
"""
OTHERS = """\
The services of gRPC itself: health says SERVING once the server takes jobs; reflection tells a tool such as grpcurl
what there is.
"""


def wire_page() -> str:
    """The page."""
    known = protocol()
    ours = {f"/{PACKAGE}.{service.name}/{method.name}" for service in known.services for method in service.methods}
    others = [(code(name), need.value) for name, need in ACCESS.items() if name not in ours]
    return page(
        "The wire",
        paragraph(INTRODUCTION),
        paragraph(TOKENS),
        *(_service(service) for service in known.services),
        section("Health and reflection", paragraph(OTHERS), table(("call", "needs"), others)),
    )


def _service(service: Service) -> str:
    rows = [_method(service, method) for method in service.methods]
    head = ("call", "request", "answer", "needs", "does")
    where = f"Its messages: [{service.file}](../../proto/{service.file})."
    return section(service.name, paragraph(f"{service.comment} {where}"), table(head, rows))


def _method(service: Service, method: Method) -> tuple[str, ...]:
    need = ACCESS[f"/{PACKAGE}.{service.name}/{method.name}"]
    answer = f"stream of {code(method.response)}" if method.streams else code(method.response)
    return code(method.name), code(method.request), answer, need.value, method.comment
