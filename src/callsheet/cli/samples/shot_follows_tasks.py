"""A plugin of Callsheet's own kind that writes back: a shot or asset follows the tasks on it."""

from callsheet import Context, Skip, on


@on("Shotgun_Task_Change", attribute="sg_status_list", fields=["entity"])
def shot_follows_tasks(ctx: Context) -> None:
    """Work on a task has begun: so it has on its shot. All is approved: the shot is, too."""
    status = ctx.event["meta"].get("new_value")
    if status not in ("ip", "apr"):
        raise Skip(f"{status} of a task says nothing about its shot")
    if ctx.entity is None or not ctx.entity["entity"]:
        raise Skip("the task is on no shot or asset")
    entity = ctx.entity["entity"]
    if status == "apr":
        unfinished = [["entity", "is", entity], ["sg_status_list", "is_not", "apr"]]
        if ctx.sg.find_one("Task", unfinished):
            raise Skip("other tasks are still to be done")
    ctx.sg.update(entity["type"], entity["id"], {"sg_status_list": status})
    ctx.log.info("%s is %s now", entity["name"], status)
