"""A plugin of Callsheet's own kind that writes back: when a task is approved, the next one on the same entity may start."""

from callsheet import Context, on


@on("Shotgun_Task_Change", attribute="sg_status_list", lane="entity")
def start_next_task(ctx: Context) -> None:
    """Set the first waiting task of the same shot or asset to ready."""
    if ctx.event["meta"].get("new_value") != "fin":
        return
    task = ctx.sg.find_one("Task", [["id", "is", ctx.event["meta"]["entity_id"]]], ["entity"])
    if not task or not task["entity"]:
        return
    waiting = [["entity", "is", task["entity"]], ["sg_status_list", "is", "wtg"]]
    following = ctx.sg.find_one("Task", waiting, ["content"], order=[{"field_name": "id", "direction": "asc"}])
    if following:
        ctx.sg.update("Task", following["id"], {"sg_status_list": "rdy"})
        ctx.log.info("%s may start", following["content"])
