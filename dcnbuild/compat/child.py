"""The main module of processes that a script under `python -m dcnbuild.compat` spawns (running.py)."""

from dcnbuild.compat.running import run_in_child

if __name__ != "dcnbuild.compat.child":  # run by multiprocessing as "__mp_main__", or by -m as "__main__"
    run_in_child(globals())
