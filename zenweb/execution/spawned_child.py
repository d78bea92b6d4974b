"""A step's process that was started and not forked: it imports the pipeline's module itself, for one attempt."""

import socket
import sys

from zenweb.execution.warm_parent import Orders, attend_once, import_module


def main() -> None:
    orders, channel = Orders.model_validate_json(sys.argv[1]), socket.socket(fileno=int(sys.argv[2]))
    sys.path.insert(0, orders.code_root)
    attend_once(channel, prepare=lambda: import_module(orders))


if __name__ == "__main__":
    main()
