// conclude(): what measured features mean, in order and in words.
#include <algorithm>
#include <cmath>

#include "graft/api/advise.h"
#include "graft/core/base/error.h"
#include "graft/core/base/printable.h"
#include "graft/train/tasks/shown.h"

namespace graft {
namespace {

bool is_better(const AdvisedFeatures& a, const AdvisedFeatures& b) {
  if (a.probe.share != b.probe.share) return a.probe.share > b.probe.share;
  if (a.parameters != b.parameters) return a.parameters < b.parameters;
  return a.features < b.features;
}

bool lies_above(const AdvisedFeatures& a, const AdvisedFeatures& b) {
  return a.probe.interval.low > b.probe.interval.high;
}

std::string named(const AdvisedFeatures& f) {
  if (f.weights.empty()) return f.what;
  return printable(f.weights) + (f.cut == "auto" ? "" : " cut after " + printable(f.cut));
}

std::string measured(const AdvisedFeatures& f) {
  return str(train::fixed(f.probe.share, 3), " (95 %: ", train::fixed(f.probe.interval.low, 3),
             " to ", train::fixed(f.probe.interval.high, 3), ")");
}

std::vector<std::string> largest_first(const std::vector<AdvisedFeatures>& candidates) {
  std::vector<std::pair<int64_t, std::string>> files;  // a file's largest network, without its cuts
  for (const AdvisedFeatures& c : candidates) {
    const auto known = std::find_if(files.begin(), files.end(),
                                    [&](const auto& file) { return file.second == c.weights; });
    if (known == files.end())
      files.emplace_back(c.parameters, c.weights);
    else
      known->first = std::max(known->first, c.parameters);
  }
  std::stable_sort(files.begin(), files.end(), [](const auto& a, const auto& b) {
    return a.first != b.first ? a.first > b.first : a.second < b.second;
  });
  std::vector<std::string> names;
  for (const auto& [parameters, name] : files) names.push_back(name);
  return names;
}

// How sure the first of the candidates is before the next: the images on which they differ tell
// more than their intervals, which are of each alone.
std::string sureness(const Advice& advice) {
  const AdvisedFeatures& first = advice.candidates[0];
  if (advice.candidates.size() < 2) return "There was nothing to choose between.";
  const AdvisedFeatures& next = advice.candidates[1];
  if (advice.is_sure)
    return str("The choice is sure: the interval lies above that of every other, the next being ",
               named(next), " with ", measured(next), ".");
  std::vector<std::string> near;
  for (size_t i = 1; i < advice.candidates.size(); ++i)
    if (!lies_above(first, advice.candidates[i])) near.push_back(named(advice.candidates[i]));
  if (near.size() > 3) {
    const size_t more = near.size() - 3;
    near.resize(3);
    near.back() += str(" and ", more, " more");
  }
  int64_t only_first = 0, only_next = 0;
  for (size_t i = 0; i < first.probe.is_right.size() && i < next.probe.is_right.size(); ++i) {
    only_first += first.probe.is_right[i] && !next.probe.is_right[i];
    only_next += next.probe.is_right[i] && !first.probe.is_right[i];
  }
  return str("The choice is not sure: the intervals overlap with ", join(near), ". Of ",
             first.probe.is_right.size(), " images ", only_first,
             " are right with the first and not "
             "with the next, ",
             only_next, " the other way.");
}

std::string whether_it_pays(const Advice& advice) {
  if (advice.baselines.empty())
    return "Whether transfer pays was not measured: there is no baseline.";
  const AdvisedFeatures& plain = advice.baselines[0];
  switch (advice.transfer) {
    case Advice::Transfer::pays:
      return str("Transfer pays: the best baseline, ", named(plain), ", has ", measured(plain),
                 ".");
    case Advice::Transfer::not_sure:
      return str("Whether transfer pays is not sure: the best baseline, ", named(plain), ", has ",
                 measured(plain), ", and the intervals overlap.");
    case Advice::Transfer::does_not_pay: break;
  }
  return str(
      "Transfer of frozen features does not pay: ", named(plain), " does as well or better, ",
      measured(plain),
      ". Training all layers (--freeze none) may still gain from the weights; compare it with "
      "graft pretrain, which starts from random ones.");
}

std::string beside_the_fixed_order(const Advice& advice) {
  const std::string& chosen = advice.candidates[0].weights;
  if (advice.by_size.size() < 2) return "";
  std::vector<std::string> names;
  for (const std::string& name : advice.by_size) names.push_back(printable(name));
  return str(
      "By size alone, most parameters first: ", join(names),
      advice.by_size[0] == chosen ? "; the first is the same." : "; the first is another one.");
}

}  // namespace

void conclude(Advice& advice) {
  GRAFT_CHECK(!advice.candidates.empty(), "advice: no weights were measured");
  std::stable_sort(advice.candidates.begin(), advice.candidates.end(), is_better);
  std::stable_sort(advice.baselines.begin(), advice.baselines.end(), is_better);
  const AdvisedFeatures& first = advice.candidates[0];
  advice.by_size = largest_first(advice.candidates);
  advice.is_sure = std::all_of(advice.candidates.begin() + 1, advice.candidates.end(),
                               [&](const AdvisedFeatures& c) { return lies_above(first, c); });
  if (advice.baselines.empty())
    advice.transfer = Advice::Transfer::not_sure;
  else if (advice.baselines[0].probe.share >= first.probe.share)
    advice.transfer = Advice::Transfer::does_not_pay;
  else
    advice.transfer = lies_above(first, advice.baselines[0]) ? Advice::Transfer::pays
                                                             : Advice::Transfer::not_sure;
  advice.sentences = {
      str("Choice: ", named(first), ", a linear classifier on whose features is right on ",
          measured(first), " of images that it has not seen."),
      sureness(advice), whether_it_pays(advice)};
  if (const std::string order = beside_the_fixed_order(advice); !order.empty())
    advice.sentences.push_back(order);
  advice.flags = {"--weights", first.weights};
  if (first.cut != "auto") advice.flags.insert(advice.flags.end(), {"--cut", first.cut});
  if (advice.transfer == Advice::Transfer::does_not_pay)
    advice.flags.insert(advice.flags.end(), {"--freeze", "none"});
}

}  // namespace graft
