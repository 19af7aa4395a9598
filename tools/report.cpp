#include "graft/tools/report.h"

#include <algorithm>
#include <cmath>

#include "graft/tools/output.h"

namespace graft::tools {

using train::escape;

namespace {

struct Curve {
  std::string name, color;
  std::vector<double> values;  // one per epoch
};

// A line chart. `low` and `high` bound the vertical axis.
std::string chart(const std::string& title, const std::vector<Curve>& curves, double low,
                  double high) {
  constexpr double width = 520, height = 260, left = 56, right = 12, top = 30, bottom = 34;
  if (!(high > low)) high = low + 1;
  const size_t count = curves.empty() ? 0 : curves[0].values.size();
  const auto x_of = [&](size_t i) {
    return left + (width - left - right) *
                      (count > 1 ? static_cast<double>(i) / static_cast<double>(count - 1) : 0.5);
  };
  const auto y_of = [&](double v) {
    return top + (height - top - bottom) * (1 - (std::clamp(v, low, high) - low) / (high - low));
  };
  std::string svg = str("<svg viewBox=\"0 0 ", fixed(width, 0), " ", fixed(height, 0),
                        "\" role=\"img\" aria-label=\"", escape(title), "\"><text x=\"",
                        fixed(left, 0), "\" y=\"16\" class=\"t\">", escape(title), "</text>");
  for (int tick = 0; tick <= 4; ++tick) {
    const double value = low + (high - low) * tick / 4;
    const std::string y = fixed(y_of(value), 1);
    svg += str("<line class=\"g\" x1=\"", fixed(left, 0), "\" x2=\"", fixed(width - right, 0),
               "\" y1=\"", y, "\" y2=\"", y, "\"/><text class=\"a\" text-anchor=\"end\" x=\"",
               fixed(left - 6, 0), "\" y=\"", y, "\" dy=\"4\">",
               fixed(value, high - low < 4 ? 2 : 1), "</text>");
  }
  if (count > 0) {
    svg += str("<text class=\"a\" x=\"", fixed(x_of(0), 1), "\" y=\"", fixed(height - 12, 0),
               "\" text-anchor=\"middle\">1</text>");
    if (count > 1)
      svg += str("<text class=\"a\" x=\"", fixed(x_of(count - 1), 1), "\" y=\"",
                 fixed(height - 12, 0), "\" text-anchor=\"end\">epoch ", count, "</text>");
  }
  double legend = width - right;
  for (const Curve& curve : curves) {
    std::string points;
    for (size_t i = 0; i < curve.values.size(); ++i)
      if (std::isfinite(curve.values[i]))
        points += str(fixed(x_of(i), 1), ",", fixed(y_of(curve.values[i]), 1), " ");
    if (count == 1 && !points.empty())
      svg += str("<circle r=\"4\" cx=\"", fixed(x_of(0), 1), "\" cy=\"",
                 fixed(y_of(curve.values[0]), 1), "\" fill=\"", curve.color, "\"/>");
    svg += str("<polyline fill=\"none\" stroke-width=\"2\" stroke=\"", curve.color, "\" points=\"",
               points, "\"/>");
    svg += str("<text class=\"a\" text-anchor=\"end\" fill=\"", curve.color,
               "\" style=\"fill:", curve.color, "\" x=\"", fixed(legend, 0), "\" y=\"16\">",
               escape(curve.name), "</text>");
    legend -= 12 + 7.0 * static_cast<double>(curve.name.size());
  }
  return svg + "</svg>";
}

std::string curves(const RunReport& report) {
  std::vector<double> loss, train, val, val_loss;
  double highest_loss = 0, lowest = 1, highest = 1;
  for (const EpochRow& row : report.epochs) {
    loss.push_back(row.loss);
    train.push_back(row.train_score);
    val.push_back(row.val_score);
    val_loss.push_back(row.val_loss);
    for (const double value : {row.loss, row.val_loss})
      if (std::isfinite(value)) highest_loss = std::max(highest_loss, value);
    for (const double score : {row.train_score, row.val_score})
      if (std::isfinite(score))
        lowest = std::min(lowest, score), highest = std::max(highest, score);
  }
  return "<div class=\"two\">" +
         chart("Loss", {{"validation", "#1e6fb4", val_loss}, {"training", "#b4481e", loss}}, 0,
               highest_loss * 1.05) +
         chart(report.score, {{"validation", "#1e6fb4", val}, {"training", "#7a9a3c", train}},
               std::floor(lowest * 10) / 10, highest) +
         "</div>";
}

constexpr const char* style =
    "body{font:15px/1.5 system-ui,sans-serif;max-width:1100px;margin:2em auto;padding:0 "
    "1em;color:#222}"
    "h1{font-size:1.5em}h2{font-size:1.15em;margin-top:2em}table{border-collapse:collapse;margin:."
    "5em 0}"
    "td,th{padding:.2em .7em;text-align:left;border-bottom:1px solid "
    "#ddd;font-weight:normal}th{color:#555}"
    ".m "
    "td{text-align:right;min-width:2.2em}.m{font-size:13px;display:block;overflow-x:auto}pre{"
    "background:#f5f5f2;padding:1em;overflow-x:auto}"
    ".two{display:flex;flex-wrap:wrap;gap:1em}.two svg{flex:1 1 "
    "440px;max-width:560px}.t{font-size:14px;font-weight:600}"
    ".p{display:flex;flex-wrap:wrap;gap:1em}.p figure{margin:0;width:160px}"
    ".p img{width:160px;image-rendering:auto}.p figcaption{font-size:13px;line-height:1.35;"
    "overflow-wrap:anywhere}.p small{color:#777}"
    ".a{font-size:12px;fill:#666}.g{stroke:#ddd}.w{background:#fff3d6;padding:.5em 1em}";

}  // namespace

std::string report_html(const RunReport& report) {
  std::string page = str(
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
      "content=\"width=device-width\"><title>",
      escape(report.title), "</title><style>", style, "</style></head><body>\n<h1>",
      escape(report.title), "</h1>\n");
  for (const std::string& warning : report.warnings)
    page += "<p class=\"w\">" + escape(warning) + "</p>\n";
  page += "<table>";
  for (const auto& [name, value] : report.facts)
    page += str("<tr><th>", escape(name), "</th><td>", escape(value), "</td></tr>\n");
  page += "</table>\n";
  if (!report.epochs.empty()) page += "<h2>Curves</h2>\n" + curves(report);
  page += report.results + report.pictures;
  if (!report.certificate.empty())
    page += "\n<h2>Import certificate</h2>\n<pre>" + escape(report.certificate, "\n") + "</pre>";
  if (!report.recipe.empty())
    page += "\n<h2>Recipe</h2>\n<pre>" + escape(report.recipe, "\n") + "</pre>";
  return page + "\n</body></html>\n";
}

}  // namespace graft::tools
