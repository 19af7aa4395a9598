// report.html: one self-contained page about a run (inline SVG, CSS and pictures, nothing
// fetched, no scripts).
#pragma once
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace graft::tools {

struct EpochRow {
  int64_t epoch = 0;  // from 1
  double loss = 0, train_score = 0, val_score = 0, val_loss = 0, lr = 0, images_per_s = 0,
         seconds = 0;
};

struct RunReport {
  std::string title{};
  std::vector<std::pair<std::string, std::string>> facts{};  // shown as a table at the top
  std::vector<EpochRow> epochs{};
  std::string score{};        // what the epochs' scores are called
  std::string results{};      // sections of HTML: train::Presentation::html()
  std::string pictures{};     // sections of HTML: pictures_html()
  std::string recipe{};       // JSON text; empty: no run
  std::string certificate{};  // the import's words; empty for a run from random weights
  std::vector<std::string> warnings{};
};

std::string report_html(const RunReport& report);

}  // namespace graft::tools
