"""The other end of a serial line, with every byte written out."""

import os
import threading
import tty


class FarEnd:
    """The modem's side: waits for what it is to be told, then says what it is to say."""

    def __init__(self):
        self.master, slave = os.openpty()
        tty.setraw(self.master)
        self.path = os.ttyname(slave)
        self.slave = slave
        self.heard = b""

    def expect(self, data):
        while data not in self.heard:
            self.heard += os.read(self.master, 4096)
        self.heard = self.heard.split(data, 1)[1]

    def say(self, data):
        os.write(self.master, data)

    def play(self, *steps):
        def run():
            for heard, said in steps:
                self.expect(heard)
                self.say(said)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        return thread

    def play_pieces(self, heard, pieces, after=None):
        """Say something in pieces that arrive one by one, once something was heard."""

        def run():
            if after is not None:
                after.join()
            self.expect(heard)
            for piece in pieces:
                self.say(piece)
                os.sched_yield()

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        return thread

    def close(self):
        os.close(self.master)
        os.close(self.slave)
