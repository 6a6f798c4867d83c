"""Runs one block of a model's code in a trajectory's namespace. Lives inside the sandbox, beside untrusted code."""

import builtins

# Functions defined below look names up here, so a block that replaces `len` or `print` does not reach us.
__builtins__ = dict(vars(builtins))

import ast
import errno
import io
import linecache
import re
import sys
import types

ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{6,}\b")
LONGEST_MESSAGE = 2000
LONGEST_LINE = 200
# What calls raise that find no semaphores, files or sockets here.
UNAVAILABLE = (errno.ENOENT, errno.EPERM, errno.EACCES, errno.EROFS, errno.ENOSYS)
PROCESSES = ("multiprocessing (pools, queues, locks, managers) is not available in the sandbox: "
             "use a plain loop or concurrent.futures.ThreadPoolExecutor")


class Output(io.TextIOWrapper):
    """Standard output that knows whether its last line has been ended."""

    mid_line = False

    def write(self, text):
        count = io.TextIOWrapper.write(self, text)
        if text:
            Output.mid_line = text[-1:] != "\n"
        return count


def open_output(descriptor):
    raw = io.FileIO(descriptor, "w", closefd=False)
    return Output(io.BufferedWriter(raw, 8192), encoding="utf-8", errors="backslashreplace", line_buffering=True)


def is_open(output):
    try:
        return not output.closed
    except ValueError:  # detached
        return False


def say(text, output):
    try:
        print(text, file=output)
    except BaseException:  # the block has closed it
        print(text, file=open_output(1))


def flush(stream):
    try:
        stream.flush()
    except BaseException:  # the block has closed it
        pass


def show(value, output):
    """What a notebook shows of a block's last expression, behind what the block has printed."""
    text = ADDRESS.sub("0x...", repr(value))
    if sys.stdout is not output:
        flush(sys.stdout)
    say("\n" + text if Output.mid_line else text, output)


def is_quiet(source, last):
    """Whether a semicolon follows the last expression: a notebook then shows nothing."""
    if ";" not in source:
        return False
    line = re.split("\r\n|\r|\n", source)[last.end_lineno - 1]
    return line.encode()[last.end_col_offset :].lstrip().startswith(b";")


def fresh_namespace():
    """The `__main__` that a trajectory's blocks share."""
    module = types.ModuleType("__main__")
    sys.modules["__main__"] = module
    return module.__dict__


def message_of(error):
    try:
        text = str(error)
    except BaseException:
        text = "<no message>"
    text = ADDRESS.sub("0x...", text)
    if len(text) > LONGEST_MESSAGE:
        half = LONGEST_MESSAGE // 2
        text = text[:half] + " ... " + text[-half:]
    name = type(error).__name__
    return name + ": " + text if text else name


def describe(error, sources):
    """The failing line of the model's own code and the error: stable text, without paths or addresses."""
    if isinstance(error, SyntaxError) and error.filename in sources:
        line = "  line %s" % error.lineno
        if error.text:
            shown = error.text.rstrip("\n")
            body = shown.lstrip()
            line += ": " + body[:LONGEST_LINE]
            if error.offset and 0 < error.offset <= LONGEST_LINE:
                caret = max(0, error.offset - 1 - (len(shown) - len(body)))
                line += "\n" + " " * (len("  line %s: " % error.lineno) + caret) + "^"
        return "%s\n%s: %s" % (line, type(error).__name__, str(error.msg)[:LONGEST_MESSAGE])
    place = None
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename in sources:
            place = (trace.tb_frame.f_code.co_filename, trace.tb_lineno)
        trace = trace.tb_next
    text = "Traceback (most recent call last):\n"
    if place is not None:
        lines = sources[place[0]].splitlines()
        shown = lines[place[1] - 1].strip() if 0 < place[1] <= len(lines) else ""
        text += "  line %d: %s\n" % (place[1], shown[:LONGEST_LINE])
    part = missing_part(error)
    return text + message_of(error) + ("\n" + part if part else "")


def missing_part(error):
    """What of Python the error is about that the sandbox does not have, and what to use instead; or None."""
    try:
        if isinstance(error, ModuleNotFoundError):
            name = error.name.partition(".")[0]
            if name in ("multiprocessing", "_multiprocessing"):
                return PROCESSES
            if name in getattr(sys, "stdlib_module_names", ()):
                return "%s is not available in the sandbox: use what was imported before the first block" % name
        if isinstance(error, OSError) and error.errno in UNAVAILABLE:
            wanted = ("multiprocessing", "concurrent.futures.process")
        elif isinstance(error, EOFError):  # multiprocessing's manager could not listen
            wanted = "multiprocessing.managers"
        else:
            return None
        trace = error.__traceback__
        while trace is not None:
            if str(trace.tb_frame.f_globals.get("__name__")).startswith(wanted):
                return PROCESSES
            trace = trace.tb_next
    except BaseException:  # the error is the block's own, and so are its attributes
        pass
    return None


def classify(error):
    """Status and detail of an exception that reached the top, and whether the block's changes stay."""
    if isinstance(error, MemoryError):
        return "memory", "memory", False
    if missing_part(error):
        return "refused", "denied", True
    if isinstance(error, OSError):
        if error.errno in (errno.EPERM, errno.EACCES, errno.EROFS):
            return "refused", "denied", True
        if error.errno == errno.EAGAIN and isinstance(error, BlockingIOError):
            return "refused", "processes", True
        if error.errno in (errno.EFBIG, errno.ENOSPC, errno.EDQUOT):
            return "refused", "disk", True
    if isinstance(error, RuntimeError) and "can't start new thread" in str(error):
        return "refused", "processes", True
    return "error", "exception", True


def exit_status(code, output):
    """The status that a process would end with. Prints what is no status, as a process would."""
    if isinstance(code, int):
        return int.__and__(code, 255)  # a subclass may have an `&` of its own
    if code is None:
        return 0
    try:
        say(str(code), output)
    except BaseException:
        pass
    return 1


def show_error(error, sources, output):
    try:
        text = describe(error, sources)
    except BaseException as second:
        text = type(error).__name__ + " (" + type(second).__name__ + " while describing it)"
    error.__traceback__ = None
    if sys.stdout is not output:
        flush(sys.stdout)
    say(text, output)


def run(source, number, namespace, sources, output):
    """Executes `source`, then shows the value of a last bare expression as a notebook does.

    Returns status, detail and whether the changes stay. Never raises for what the code does.
    """
    name = "<cell %d>" % number
    sources[name] = source
    linecache.cache[name] = (len(source), None, source.splitlines(True), name)
    Output.mid_line = False
    sys.stdout = sys.stderr = sys.__stdout__ = sys.__stderr__ = output
    try:
        tree = compile(source, name, "exec", ast.PyCF_ONLY_AST, dont_inherit=True)
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        quiet = last is not None and is_quiet(source, last)
        body = compile(tree, name, "exec", dont_inherit=True)
        tail = compile(ast.Expression(last.value), name, "eval", dont_inherit=True) if last else None
        del tree, last
        exec(body, namespace)
        if tail is not None:
            value = eval(tail, namespace)
            if value is not None and not quiet:
                show(value, output)
        verdict = ("ok", "ok", True)
    except SystemExit as leaving:
        verdict = ("exited", "exit status %d" % exit_status(leaving.code, output), True)
    except BaseException as error:
        verdict = classify(error)
        if verdict[0] != "memory":
            show_error(error, sources, output)
    for stream in (sys.stdout, sys.stderr, output):
        flush(stream)
    return verdict
