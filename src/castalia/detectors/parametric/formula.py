"""Formulas of a detector card: arithmetic of a few named variables, read by Python's parser and never run as code.

A formula is a Python expression of numbers, variables, ``+ - * / **``, comparisons (1 where true, else 0), ``and``,
``or``, ``not`` and the functions of :data:`FUNCTIONS`: ``(abs(eta) < 1.5) * sqrt(0.01**2 + (7e-5 * pt)**2)``.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf

__all__ = ["FUNCTIONS", "FormulaError", "described", "evaluate", "parse", "shortened"]

Values: TypeAlias = NDArray[np.float64]
_Node: TypeAlias = Callable[[Mapping[str, Values]], Any]

FUNCTIONS: Final[Mapping[str, tuple[Callable[..., Any], int]]] = {
    "abs": (np.abs, 1),
    "sqrt": (np.sqrt, 1),
    "exp": (np.exp, 1),
    "log": (np.log, 1),
    "log10": (np.log10, 1),
    "sin": (np.sin, 1),
    "cos": (np.cos, 1),
    "tan": (np.tan, 1),
    "sinh": (np.sinh, 1),
    "cosh": (np.cosh, 1),
    "tanh": (np.tanh, 1),
    "erf": (erf, 1),
    "pow": (np.power, 2),
    "min": (np.minimum, 2),
    "max": (np.maximum, 2),
    "where": (lambda condition, yes, no: np.where(condition != 0.0, yes, no), 3),
}
"""Functions that a formula may call, with the number of their arguments."""

_LONGEST: Final = 10_000  # characters; the longest formula of the field's own cards has about 2,000
_SHOWN: Final = 120  # characters of a formula in an error
_ARITHMETIC: Final[Mapping[type[ast.operator], Callable[..., Any]]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
    ast.Pow: np.power,
}
_COMPARISONS: Final[Mapping[type[ast.cmpop], Callable[..., Any]]] = {
    ast.Lt: np.less,
    ast.LtE: np.less_equal,
    ast.Gt: np.greater,
    ast.GtE: np.greater_equal,
    ast.Eq: np.equal,
    ast.NotEq: np.not_equal,
}


class FormulaError(ValueError):
    """A formula that cannot be read or has no value; the message says what and lacks only the place."""


def evaluate(text: str, variables: Mapping[str, Values]) -> Values:
    """Return the value of a formula for each object.

    Args:
        text: The formula.
        variables: Values by name, all of one shape ``(objects,)``.

    Returns:
        Values, shape ``(objects,)``.

    Raises:
        FormulaError: If the formula cannot be read, names an unknown variable, or is not finite for some object (as
            after a division by zero); the message gives that object's variables.
    """
    shape = next(iter(variables.values())).shape
    with np.errstate(all="ignore"):
        values = np.broadcast_to(np.asarray(parse(text, tuple(variables))(variables), dtype=np.float64), shape)
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        raise FormulaError(f"'{shortened(text)}' has no finite value at {described(variables, bad[0])}")
    return values


def shortened(text: str) -> str:
    """Return a formula as an error shows it: on one line, and cut where it is long."""
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else f"{line[:_SHOWN]} …"


def described(variables: Mapping[str, Values], position: np.int64) -> str:
    """Name one object by its variables, as an error shows it."""
    return ", ".join(f"{name} = {values[position]:.4g}" for name, values in variables.items())


@lru_cache(maxsize=256)
def parse(text: str, names: tuple[str, ...]) -> _Node:
    """Turn a formula into a function of its variables' values.

    Args:
        text: The formula.
        names: Variables that it may use.

    Raises:
        FormulaError: If it is not a formula, or has an unknown name.
    """
    if len(text) > _LONGEST:
        raise FormulaError(f"a formula of {len(text)} characters is too long; use at most {_LONGEST}")
    try:
        return _build(ast.parse(" ".join(text.split()), mode="eval").body, names)
    except SyntaxError as error:
        raise FormulaError(f"'{shortened(text)}' is not a formula ({error.msg.partition(';')[0]})") from None
    except (RecursionError, MemoryError, OverflowError):
        raise FormulaError(f"'{shortened(text)}' is nested too deeply or has too large a number") from None
    except ValueError as error:  # a null byte, or a number of thousands of digits
        raise (
            error if isinstance(error, FormulaError) else FormulaError(f"a formula cannot be read ({error})")
        ) from None


def _build(node: ast.expr, names: tuple[str, ...]) -> _Node:
    match node:
        case ast.Constant(value=bool() | str() | bytes() | complex() | None):
            raise FormulaError(f"'{ast.unparse(node)}' is not a number")
        case ast.Constant(value=int() | float() as value):
            number = np.float64(value)
            return lambda _: number
        case ast.Name(id=name):
            if name not in names:
                raise FormulaError(f"'{name}' is not known; the variables are {', '.join(names)}")
            return lambda variables: variables[name]
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
            return _apply(_ARITHMETIC[type(op)], [left, right], names)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return _apply(np.negative, [operand], names)
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return _build(operand, names)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return _apply(lambda value: _number(value == 0.0), [operand], names)
        case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _COMPARISONS:
            compare = _COMPARISONS[type(op)]
            return _apply(lambda a, b: _number(compare(a, b)), [left, right], names)
        case ast.Compare(ops=[_, _, *_]):
            raise FormulaError(f"'{ast.unparse(node)}' compares more than two values; join two comparisons with 'and'")
        case ast.BoolOp(op=op, values=values):
            join = np.logical_and if isinstance(op, ast.And) else np.logical_or
            return _apply(lambda *parts: _number(join.reduce(np.broadcast_arrays(*parts))), values, names)
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
            return _call(name, arguments, names)
        case _:
            raise FormulaError(f"'{ast.unparse(node)}' is not allowed in a formula")


def _call(name: str, arguments: list[ast.expr], names: tuple[str, ...]) -> _Node:
    if name not in FUNCTIONS:
        raise FormulaError(f"the function '{name}' is not known; the functions are {', '.join(FUNCTIONS)}")
    function, wanted = FUNCTIONS[name]
    if len(arguments) != wanted:
        raise FormulaError(f"the function '{name}' takes {wanted} values, not {len(arguments)}")
    return _apply(function, arguments, names)


def _apply(function: Callable[..., Any], operands: list[ast.expr], names: tuple[str, ...]) -> _Node:
    parts = [_build(operand, names) for operand in operands]
    return lambda variables: function(*(part(variables) for part in parts))


def _number(truth: Any) -> Any:
    return np.asarray(truth, dtype=np.float64)
