"""A plugin with a bad day: the first two tries for each new version fail, the third succeeds. Nothing is lost on the way."""

from callsheet import Context, Retry, on


@on("Shotgun_Version_New", lane="entity", retry={"attempts": 5, "first": 0.5, "factor": 2})
def post_to_chat(ctx: Context) -> None:
    """Pretend to post a message to a chat server that answers only the third time."""
    if ctx.attempt == 1:
        raise ConnectionError("the chat server does not answer")
    if ctx.attempt == 2:
        raise Retry(after=0.5)
    ctx.log.info("posted: version %s is there", (ctx.event["entity"] or {}).get("name"))
