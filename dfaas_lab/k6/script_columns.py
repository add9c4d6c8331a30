"""Columns that come from a user's script: name, method, group, tags.

k6 writes tags as ``a=1&b=2``, without quoting: of a value that holds ``&x=``, the rest is read as
a tag of its own.
"""

from __future__ import annotations

import json

import polars as pl

from dfaas_lab.redaction import masked

COLUMNS = ("name", "method", "group", "tags")

# k6 numbers VUs and iterations in the metadata, which else is the script's.
_OWN_METADATA = r"(?:^|&)(?:vu|iter)=\d+"


def with_script_columns(requests: pl.DataFrame) -> pl.DataFrame:
    """Add the requests' ``name, method, group, tags``, as the script gave them.

    ``tags`` is JSON: all tags, the metadata, and the URL where the name is another text.
    """
    url, name = pl.col("url"), pl.col("name").cast(pl.String)
    own = pl.col("metadata").str.replace_all(_OWN_METADATA, "").str.strip_prefix("&")
    columns = (
        _filled("extra_tags"),
        pl.when(own != "").then(own).alias("metadata"),
        pl.when(url.ne_missing(name)).then(url),
    )
    texts = requests.select(columns).unique()
    named = requests.with_columns(columns).join(
        texts.with_columns(tags=_json(texts)), on=texts.columns, how="left", nulls_equal=True
    )
    named = named.with_columns(_filled("name"), _filled("method"), _filled("group"))
    # k6 calls a request by its URL where the script does not name it.
    urls = named["name"].drop_nulls().unique()
    shown = {text: masked(text) for text in urls if "?" in text or "@" in text}
    return named.with_columns(pl.col("name").replace(shown)) if shown else named


def without_script_columns(requests: pl.DataFrame) -> pl.DataFrame:
    """The same columns, all null: the package's own script has nothing to say in them."""
    return requests.with_columns(pl.lit(None, pl.String).alias(name) for name in COLUMNS)


def with_tags(metrics: pl.DataFrame) -> pl.DataFrame:
    """Add ``group`` and ``tags`` to the samples of a script's own metrics."""
    texts = metrics.select(_filled("extra_tags")).unique()
    found = texts.with_columns(tags=_json(texts))
    return metrics.join(found, on="extra_tags", how="left", nulls_equal=True).with_columns(
        _filled("group")
    )


def tags_of(text: str) -> dict[str, str]:
    """Read k6's form of tags.

    >>> tags_of("stage=2&q=a&b&u=x=y")
    {'stage': '2', 'q': 'a&b', 'u': 'x=y'}
    """
    tags: dict[str, str] = {}
    last = ""
    for part in text.split("&"):
        key, equals, value = part.partition("=")
        if equals:
            tags[key] = value
            last = key
        elif last:
            tags[last] += f"&{part}"
    return tags


def _json(texts: pl.DataFrame) -> pl.Series:
    rows = texts.iter_rows(named=True)
    return pl.Series("tags", [_one(row) for row in rows], dtype=pl.String)


def _one(row: dict[str, str | None]) -> str | None:
    tags = tags_of(row["extra_tags"] or "") | tags_of(row.get("metadata") or "")
    if url := row.get("url"):
        tags["url"] = url
    tags = {name: masked(value) for name, value in tags.items()}
    return json.dumps(tags, ensure_ascii=False, sort_keys=True) if tags else None


def _filled(name: str) -> pl.Expr:
    text = pl.col(name).cast(pl.String)
    return pl.when(text != "").then(text).alias(name)
