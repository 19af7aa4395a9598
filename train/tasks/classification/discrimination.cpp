#include "graft/train/tasks/classification/discrimination.h"

#include <algorithm>
#include <map>
#include <numeric>

#include "graft/core/base/error.h"
#include "graft/core/runtime/random.h"

namespace graft::train {
namespace {

constexpr int64_t kMostResamples = 1000, kFewestResamples = 200;
constexpr int64_t kCheapNumbers = 200'000;

// One class against the rest, each sample counted as often as it was drawn.
struct Curve {
  double auc = NAN, sensitivity = NAN, score = NAN;
};

class ClassCurve {
 public:
  ClassCurve(const ScoredSamples& samples, int64_t label) {
    const auto n = std::ssize(samples.labels);
    std::vector<int64_t> order(static_cast<size_t>(n));
    std::iota(order.begin(), order.end(), int64_t{0});
    const auto score = [&](int64_t i) {
      return samples.scores[static_cast<size_t>(i * samples.classes + label)];
    };
    std::stable_sort(order.begin(), order.end(),
                     [&](int64_t a, int64_t b) { return score(a) > score(b); });
    for (const int64_t i : order)
      steps_.push_back(
          {static_cast<size_t>(i), score(i), samples.labels[static_cast<size_t>(i)] == label});
  }

  // From the highest score down; samples of equal scores are one step.
  Curve drawn(const std::vector<int64_t>& times, double specificity) const {
    int64_t positives = 0, negatives = 0;
    for (const Step& step : steps_)
      (step.is_positive ? positives : negatives) += times[step.sample];
    if (positives == 0 || negatives == 0) return {};
    // A share of, say, 0.1 in 30 is 3, whatever 1 - 0.9 is in binary.
    const auto allowed =
        static_cast<int64_t>(std::floor((1 - specificity) * static_cast<double>(negatives) + 1e-9));
    Curve curve{.sensitivity = 0};
    int64_t above = 0, wrong = 0;  // positives, negatives with a higher score
    double pairs = 0;
    for (size_t i = 0; i < steps_.size();) {
      int64_t here = 0, wrong_here = 0;
      const float score = steps_[i].score;
      for (; i < steps_.size() && steps_[i].score == score; ++i)
        (steps_[i].is_positive ? here : wrong_here) += times[steps_[i].sample];
      pairs += static_cast<double>(wrong_here) *
               (static_cast<double>(above) + static_cast<double>(here) / 2);
      above += here;
      wrong += wrong_here;
      if (wrong <= allowed && here > 0) {
        curve.sensitivity = static_cast<double>(above) / static_cast<double>(positives);
        curve.score = score;
      }
    }
    curve.auc = pairs / (static_cast<double>(positives) * static_cast<double>(negatives));
    return curve;
  }

 private:
  struct Step {
    size_t sample;
    float score;
    bool is_positive;
  };
  std::vector<Step> steps_;
};

double balanced_accuracy(const ScoredSamples& samples, const std::vector<int64_t>& times) {
  std::vector<int64_t> all(static_cast<size_t>(samples.classes)), right(all.size());
  for (size_t i = 0; i < times.size(); ++i) {
    const auto label = static_cast<size_t>(samples.labels[i]);
    all[label] += times[i];
    if (samples.predicted[i] == samples.labels[i]) right[label] += times[i];
  }
  double sum = 0, there = 0;
  for (size_t c = 0; c < all.size(); ++c)
    if (all[c] > 0) sum += static_cast<double>(right[c]) / static_cast<double>(all[c]), ++there;
  return sum / there;
}

// Mean of the numbers that are known; of two classes the curves are one.
double mean_auc(const std::vector<Curve>& curves) {
  double sum = 0, known = 0;
  for (const Curve& curve : curves)
    if (!std::isnan(curve.auc)) sum += curve.auc, ++known;
  return sum / known;
}

// The draws' values, of which the interval is made.
class Draws {
 public:
  void add(double value) {
    if (!std::isnan(value)) values_.push_back(value);
  }
  Estimate around(double value) {
    if (values_.empty() || std::isnan(value)) return {value, NAN, NAN};
    std::sort(values_.begin(), values_.end());
    return {value, quantile(0.025), quantile(0.975)};
  }

 private:
  double quantile(double share) const {
    const double at = share * static_cast<double>(values_.size() - 1);
    const auto below = static_cast<size_t>(at);
    const size_t above = std::min(below + 1, values_.size() - 1);
    return values_[below] + (at - static_cast<double>(below)) * (values_[above] - values_[below]);
  }
  std::vector<double> values_;
};

// For each sample the number of its group, from 0 in the order in which they come.
std::vector<size_t> numbered(const std::vector<std::string>& groups, size_t samples) {
  std::vector<size_t> numbers(samples);
  if (groups.empty()) {
    std::iota(numbers.begin(), numbers.end(), size_t{0});
    return numbers;
  }
  std::map<std::string, size_t> known;
  for (size_t i = 0; i < samples; ++i)
    numbers[i] = known.emplace(groups[i], known.size()).first->second;
  return numbers;
}

void check_samples(const ScoredSamples& samples, const DiscriminationOptions& options) {
  const auto n = std::ssize(samples.labels);
  GRAFT_CHECK(n >= 1 && samples.classes >= 2 && std::ssize(samples.predicted) == n &&
                  std::ssize(samples.scores) == n * samples.classes,
              "discrimination: ", n, " labels, ", samples.predicted.size(), " predictions and ",
              samples.scores.size(), " scores of ", samples.classes, " classes do not fit");
  GRAFT_CHECK(options.groups.empty() || std::ssize(options.groups) == n,
              "discrimination: ", options.groups.size(), " groups for ", n, " samples");
  GRAFT_CHECK(options.specificity >= 0 && options.specificity <= 1,
              "discrimination: a specificity of ", options.specificity);
  for (const int32_t label : samples.labels)
    GRAFT_CHECK(label >= 0 && label < samples.classes, "label ", label, " of ", samples.classes,
                " classes");
}

int64_t resamples_of(const ScoredSamples& samples, const DiscriminationOptions& options) {
  if (options.resamples > 0) return options.resamples;
  const auto numbers = static_cast<int64_t>(samples.scores.size());
  return std::clamp(kMostResamples * kCheapNumbers / numbers, kFewestResamples, kMostResamples);
}

}  // namespace

Discrimination discriminate(const ScoredSamples& samples, const DiscriminationOptions& options) {
  check_samples(samples, options);
  const size_t n = samples.labels.size();
  const auto classes = static_cast<size_t>(samples.classes);
  std::vector<ClassCurve> of_class;
  for (int64_t c = 0; c < samples.classes; ++c) of_class.emplace_back(samples, c);
  const auto all_curves = [&](const std::vector<int64_t>& times) {
    std::vector<Curve> curves;
    for (const ClassCurve& curve : of_class)
      curves.push_back(curve.drawn(times, options.specificity));
    return curves;
  };
  const std::vector<int64_t> once(n, 1);
  const std::vector<Curve> own = all_curves(once);
  const std::vector<size_t> group = numbered(options.groups, n);
  const size_t groups = *std::max_element(group.begin(), group.end()) + 1;

  Discrimination found;
  found.specificity = options.specificity;
  found.resamples = resamples_of(samples, options);
  found.groups = options.groups.empty() ? 0 : static_cast<int64_t>(groups);
  Draws auc, balanced;
  std::vector<Draws> class_auc(classes), sensitivity(classes);
  for (int64_t draw = 0; draw < found.resamples; ++draw) {
    CountedRandom random(options.seed, RandomPurpose::bootstrap, 0, static_cast<uint64_t>(draw));
    std::vector<int64_t> drawn(groups), times(n);
    for (size_t g = 0; g < groups; ++g) ++drawn[random.below(groups)];
    for (size_t i = 0; i < n; ++i) times[i] = drawn[group[i]];
    const std::vector<Curve> curves = all_curves(times);
    auc.add(mean_auc(curves));
    balanced.add(balanced_accuracy(samples, times));
    for (size_t c = 0; c < classes; ++c) {
      class_auc[c].add(curves[c].auc);
      sensitivity[c].add(curves[c].sensitivity);
    }
  }
  found.auc = auc.around(mean_auc(own));
  found.balanced_accuracy = balanced.around(balanced_accuracy(samples, once));
  for (size_t c = 0; c < classes; ++c)
    found.classes.push_back(
        {std::count(samples.labels.begin(), samples.labels.end(), static_cast<int32_t>(c)),
         class_auc[c].around(own[c].auc), sensitivity[c].around(own[c].sensitivity), own[c].score});
  return found;
}

std::vector<float> scores_against_rest(std::span<const float> logits, int64_t classes) {
  std::vector<float> scores;
  scores.reserve(logits.size());
  for (size_t row = 0; row < logits.size(); row += static_cast<size_t>(classes)) {
    const std::span<const float> x = logits.subspan(row, static_cast<size_t>(classes));
    const auto top = static_cast<size_t>(std::max_element(x.begin(), x.end()) - x.begin());
    double second = -INFINITY;
    for (size_t c = 0; c < x.size(); ++c)
      if (c != top) second = std::max<double>(second, x[c]);
    double others = 0;  // than the top, as multiples of the second
    for (size_t c = 0; c < x.size(); ++c)
      if (c != top) others += std::exp(x[c] - second);
    const double rest_of_top = second + std::log(others), share = std::exp(second - x[top]);
    for (size_t c = 0; c < x.size(); ++c) {
      // As multiples of the top: itself, and the others without this one.
      const double rest = 1 + share * std::max(0.0, others - std::exp(x[c] - second));
      scores.push_back(
          static_cast<float>(x[c] - (c == top ? rest_of_top : x[top] + std::log(rest))));
    }
  }
  return scores;
}

}  // namespace graft::train
