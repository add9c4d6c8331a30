"""What a person sees of a notebook, in numbers: contrast, and what is wider than its place."""

from __future__ import annotations

import re
from typing import Any

from playwright.sync_api import Page

# WCAG 2.1, relative luminance and contrast ratio: of each text in an output, and in Markdown,
# against the colours behind it, laid over each other as the browser does.
_CONTRASTS = """
() => {
  const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
  const rgba = colour => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (top, below) => top.slice(0, 3).map((c, i) => c * top[3] + below[i] * (1 - top[3]));
  const behind = element => {
    const layers = [];
    for (let at = element; at; at = at.parentElement)
      layers.push(rgba(getComputedStyle(at).backgroundColor));
    return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255]);
  };
  const luminance = colour => {
    const [r, g, b] = colour.map(c => c / 255)
      .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const found = [];
  const inside = ".jp-OutputArea-output, .jp-RenderedMarkdown";
  for (const place of document.querySelectorAll(inside)) {
    const walker = document.createTreeWalker(place, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      const element = walker.currentNode.parentElement;
      const text = walker.currentNode.textContent.trim();
      if (!text || !element.checkVisibility({opacityProperty: true})) continue;
      if (element.closest("style, script, .vega-actions, summary")) continue;
      const ground = behind(element), style = getComputedStyle(element);
      const ink = over(rgba(element instanceof SVGElement ? style.fill : style.color), ground);
      const [low, high] = [luminance(ink), luminance(ground)].sort((a, b) => a - b);
      found.push([text.slice(0, 60), (high + 0.05) / (low + 0.05)]);
    }
  }
  return found;
}
"""
_SPILLED = """
() => {
  const found = [];
  for (const output of document.querySelectorAll(".jp-OutputArea-output")) {
    if (!output.checkVisibility()) continue;
    const place = output.getBoundingClientRect();
    const wide = "canvas, img, table, pre, .widget-hbox, svg:not(summary svg)";
    for (const one of output.querySelectorAll(wide)) {
      const wider = one.getBoundingClientRect().right - place.right;
      if (wider > 1) found.push([one.tagName, one.className, one.textContent.slice(0, 80), wider]);
    }
  }
  return found;
}
"""
_CHARTS = """
() => [...document.querySelectorAll(".jp-OutputArea-output")].flatMap(
  output => [...output.querySelectorAll("canvas.marks, svg.marks, img")].map(
    one => one.getBoundingClientRect().width))
"""
# The colour of a chart's paper, in its corner.
_PAPER = """
() => [...document.querySelectorAll("canvas.marks")].map(chart => {
  const copy = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
  copy.drawImage(chart, 0, 0);
  return [...copy.getImageData(1, 1, 1, 1).data];
})
"""


def contrasts(page: Page) -> list[tuple[str, float]]:
    """Return each text that is seen, and its contrast."""
    return [(text, ratio) for text, ratio in page.evaluate(_CONTRASTS)]


def spilled(page: Page) -> list[Any]:
    """Return what is wider than the output that it is in."""
    return list(page.evaluate(_SPILLED))


def chart_widths(page: Page) -> list[float]:
    """Return the width of each chart, in pixels of the page."""
    return list(page.evaluate(_CHARTS))


def papers(page: Page) -> list[list[int]]:
    """Return the colour of each chart's paper."""
    return list(page.evaluate(_PAPER))


def inks(svg: str) -> set[str]:
    """Return the colours of the texts of a drawing, as they are written in it."""
    texts = re.findall(r"<text[^>]*>", svg)
    return {found[1] for text in texts if (found := re.search(r'\bfill="([^"]+)"', text))}
