"""Commands around the queue and the dashboard: jobs, cancel, worker, dashboard."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import click

from optim.cli.output import (
    Finite,
    common_options,
    open_workspace,
    print_json,
    print_table,
    say,
    tell_unread,
    workspace_folder,
)
from optim.errors import OptimError
from optim.jobs.job import Job, job_record
from optim.workspace import resolved


@click.command()
@click.option(
    "--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="How many."
)
@common_options
def jobs(limit: int, workspace: Path | None, as_json: bool) -> None:
    """List background jobs, the newest first.

    \b
    Examples:
      edge-optim jobs
      edge-optim jobs --limit 5 --json
    """
    opened = open_workspace(workspace)
    found = opened.jobs(limit=limit)
    tell_unread(opened)
    if as_json:
        print_json({"paused": opened.paused(), "jobs": [job_record(job) for job in found]})
        return
    print_table([_row(job) for job in found], empty="There is no job.")
    if reason := opened.paused():
        say(f"The queue waits: {reason}", error=True)


@click.command()
@click.argument("job")
@common_options
def cancel(job: str, workspace: Path | None, as_json: bool) -> None:
    """Stop JOB (its id); what it has finished is kept.

    \b
    Examples:
      edge-optim jobs              shows the ids
      edge-optim cancel 5b1c0f7e2a93
    """
    opened = open_workspace(workspace)
    found = opened.job(job)
    if found is None:
        raise OptimError(f"there is no job {job!r:.40}. `edge-optim jobs` lists them.")
    if found.live:
        opened.cancel(job)
    now = opened.job(job) or found
    if as_json:
        print_json(job_record(now))
    elif found.live:
        say(f"Job {job} is asked to stop: {found.words}.")
    else:
        say(f"Job {job} had ended already ({found.state}): {found.words}.")


@click.command()
@click.option("--idle-exit", type=Finite(min=0), help="End after so many seconds without work.")
@common_options
def worker(idle_exit: float | None, workspace: Path | None, as_json: bool) -> None:
    """Work on the workspace's jobs until stopped.

    The dashboard and `run --background` start a worker by themselves. Start one by hand where it
    should belong to a service manager. A workspace has one worker; a second one ends at once.

    \b
    Examples:
      edge-optim worker
      edge-optim worker --idle-exit 60
    """
    from optim.jobs.worker import run_worker

    folder = resolved(workspace_folder(workspace))
    stop = threading.Event()
    before = signal.signal(signal.SIGTERM, lambda *_: stop.set())
    try:
        worked = run_worker(folder, idle_exit_s=idle_exit, stop=stop)
    finally:
        signal.signal(signal.SIGTERM, before)
    if as_json:
        print_json({"workspace": str(folder), "worked": worked})
    elif not worked:
        say(f"Another worker serves {folder} already.")


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Loopback address.")
@click.option(
    "--port", type=click.IntRange(1, 65535), default=8501, show_default=True, help="Port."
)
@click.option("--no-browser", is_flag=True, help="Do not open a browser window.")
@common_options
def dashboard(host: str, port: int, no_browser: bool, workspace: Path | None, as_json: bool) -> int:
    """Open the dashboard in a browser; it runs until Ctrl-C.

    It listens on this machine alone; an address that others could reach is refused. With --json,
    its own address is printed as data before it starts.

    \b
    Examples:
      edge-optim dashboard
      edge-optim dashboard --port 8600 --no-browser
    """
    from dashboard.launch import check_host, check_port, launch

    folder = resolved(workspace_folder(workspace))
    check_host(host, port)
    check_port(host, port)
    if as_json:
        print_json({"url": f"http://{host}:{port}", "workspace": str(folder)})
    return launch(folder, host=host, port=port, open_browser=not no_browser)


def _row(job: Job) -> dict[str, str]:
    return {
        "id": job.id,
        "state": str(job.state),
        "done": f"{100 * job.progress:.0f} %",
        "what": job.words,
        "now": job.error or job.message,
    }
