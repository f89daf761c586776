"""What the expressions of a formula may call: the whole language, by name.

Nothing that is not in these tables can be reached from a formula, so a name belongs here only if no
argument can make it write a file, import or run code, change a caller's column, or take time
or memory out of proportion to the rows and the length of the formula.
"""

from __future__ import annotations

from types import MappingProxyType

import numpy as np

__all__ = [
    "AGGREGATES",
    "CAT_METHODS",
    "CONSTANTS",
    "CONTRASTS",
    "DTYPES",
    "DT_METHODS",
    "DT_PARTS",
    "ELEMENTWISE",
    "GROUP_METHODS",
    "KEYWORDS",
    "MISSING_AWARE",
    "NUMPY",
    "ROW_METHODS",
    "STR_METHODS",
    "WHOLE_METHODS",
    "WHOLE_NUMPY",
    "WINDOW_METHODS",
    "words",
]


def words(text: str) -> frozenset[str]:
    """Split a text into words."""
    return frozenset(text.split())


#: numpy's functions of one value a row, with the most positional arguments that each may take:
#: numpy writes into a further one.
ELEMENTWISE = dict.fromkeys(
    [
        "abs",
        "absolute",
        "fabs",
        "negative",
        "positive",
        "sign",
        "signbit",
        "exp",
        "exp2",
        "expm1",
        "log",
        "log2",
        "log10",
        "log1p",
        "sqrt",
        "cbrt",
        "square",
        "reciprocal",
        "sin",
        "cos",
        "tan",
        "arcsin",
        "arccos",
        "arctan",
        "sinh",
        "cosh",
        "tanh",
        "arcsinh",
        "arccosh",
        "arctanh",
        "degrees",
        "radians",
        "deg2rad",
        "rad2deg",
        "floor",
        "ceil",
        "trunc",
        "rint",
        "fix",
        "sinc",
        "i0",
        "isnan",
        "isfinite",
        "isinf",
        "logical_not",
        "invert",
        "spacing",
        "nan_to_num",
        "float64",
        "float32",
        "int64",
        "int32",
        "bool_",
    ],
    1,
)
ELEMENTWISE |= dict.fromkeys(
    [
        "add",
        "subtract",
        "multiply",
        "divide",
        "true_divide",
        "floor_divide",
        "mod",
        "remainder",
        "fmod",
        "power",
        "float_power",
        "arctan2",
        "hypot",
        "copysign",
        "heaviside",
        "maximum",
        "minimum",
        "fmax",
        "fmin",
        "logaddexp",
        "logaddexp2",
        "logical_and",
        "logical_or",
        "logical_xor",
        "bitwise_and",
        "bitwise_or",
        "bitwise_xor",
        "equal",
        "not_equal",
        "greater",
        "greater_equal",
        "less",
        "less_equal",
        "gcd",
        "lcm",
        "round",
        "around",
        "isin",
        "isclose",
        "digitize",
        "searchsorted",
    ],
    2,
)
ELEMENTWISE |= {"clip": 3, "where": 3, "select": 3, "interp": 3}

#: numpy's functions that take in all rows, or make a few values such as knots.
WHOLE_NUMPY = dict.fromkeys(
    [
        "mean",
        "median",
        "std",
        "var",
        "min",
        "max",
        "amin",
        "amax",
        "sum",
        "prod",
        "ptp",
        "average",
        "nanmean",
        "nanmedian",
        "nanstd",
        "nanvar",
        "nanmin",
        "nanmax",
        "nansum",
        "nanprod",
        "quantile",
        "percentile",
        "nanquantile",
        "nanpercentile",
        "cumsum",
        "cumprod",
        "diff",
        "any",
        "all",
        "size",
    ],
    2,
)
WHOLE_NUMPY |= {"array": 1, "asarray": 1, "linspace": 3, "arange": 3, "linalg.norm": 2}

NUMPY = MappingProxyType({**ELEMENTWISE, **WHOLE_NUMPY})

#: Attributes of numpy that are values.
CONSTANTS = MappingProxyType({"pi": np.pi, "e": np.e, "nan": np.nan, "inf": np.inf})

CONTRASTS = words("treatment SAS sum helmert diff poly custom")

#: Methods of a column whose result in a row depends on that row only.
ROW_METHODS = words(
    "abs round clip fillna isna isnull notna notnull isin between map replace where mask astype "
    "add sub subtract mul multiply div divide truediv floordiv mod pow radd rsub rmul rdiv "
    "rtruediv rfloordiv rmod rpow eq ne lt le gt ge combine_first to_numpy"
)

#: Methods of a column that take in other rows.
WHOLE_METHODS = words(
    "mean median std var sem min max sum prod product count nunique mode quantile skew kurt rank "
    "cumsum cumprod cummax cummin diff shift pct_change ffill bfill interpolate agg aggregate "
    "transform groupby value_counts unique factorize rolling expanding ewm idxmin idxmax "
    "any all dot first last"
)

#: Methods of grouped columns, and of windows over a column.
GROUP_METHODS = words(
    "transform agg aggregate mean median std var sem min max sum prod count nunique first last "
    "size cumsum cumprod cummax cummin cumcount ngroup rank shift diff ffill bfill quantile"
)
WINDOW_METHODS = words("mean median std var sem min max sum count quantile rank skew kurt")

#: What agg() and transform() may be given: they call any method of that name.
AGGREGATES = words(
    "mean median std var sem min max sum prod count nunique first last size cumsum cumprod cummax "
    "cummin rank skew"
)

STR_METHODS = words(
    "lower upper title capitalize casefold swapcase strip lstrip rstrip len startswith endswith "
    "contains match fullmatch count find slice get replace split rsplit extract cat zfill isdigit "
    "isalpha isalnum isnumeric isdecimal isspace islower isupper removeprefix removesuffix"
)

DT_PARTS = words(
    "year month day hour minute second microsecond nanosecond quarter dayofweek day_of_week "
    "weekday dayofyear day_of_year days seconds microseconds days_in_month daysinmonth "
    "is_month_start is_month_end is_quarter_start is_quarter_end is_year_start is_year_end "
    "is_leap_year"
)
DT_METHODS = words("total_seconds normalize floor ceil round month_name day_name isocalendar")
CAT_METHODS = words(
    "reorder_categories set_categories rename_categories remove_unused_categories add_categories "
    "remove_categories as_ordered as_unordered"
)

DTYPES = words(
    "float float64 float32 int int64 int32 int16 int8 uint8 uint16 uint32 uint64 bool boolean str "
    "string category Int64 Int32 Float64"
)

#: Methods and functions that handle missing values themselves.
MISSING_AWARE = words(
    "fillna ffill bfill interpolate isna isnull notna notnull isnan isfinite nan_to_num "
    "combine_first"
)

#: Arguments that methods and numpy's functions may be given by name. None of them writes anywhere.
KEYWORDS = words(
    "axis decimals ddof q skipna a_min a_max min max right side left bins nan posinf neginf lower "
    "upper inclusive pct ascending method na_option periods fill_value window min_periods center "
    "span alpha halflife com case na n pat repl regex sub sep others start stop step ordered "
    "new_categories categories removals values value other cond arg na_action decimals x xp fp "
    "condlist choicelist default equal_nan weights num to_replace expand rtol atol numeric_only "
    "normalize i width"
)
