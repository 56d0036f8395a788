"""A logger that keeps everything to itself, and one more handler on it with each import."""

import logging


class LogManager(object):
    """Where modules get their loggers from."""

    @staticmethod
    def get_logger(name):
        name = name.split(".", 1)[-1] if name.startswith(("tank.", "sgtk.")) else name
        return logging.getLogger("sgtk.core." + name)

    @staticmethod
    def initialize_custom_handler(handler):
        logging.getLogger("sgtk").addHandler(handler)
        return handler


_root = logging.getLogger("sgtk")
_root.propagate = False
_root.setLevel(logging.DEBUG)
_root.addHandler(logging.NullHandler())
