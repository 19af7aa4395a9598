// What scikit-learn 1.9.1 and SciPy 1.17.1 say of made-up answers: made by make_goldens.py.
#pragma once
#include <vector>

// clang-format off
namespace graft::train::goldens {

inline constexpr int kSamples = 17, kLabels = 4, kNumbers = 2;
inline const std::vector<float> kLogits = {-1.0, -0.5, 0.5, -1.0, -1.0, -1.0, -2.0, -0.5, 1.5, -1.5, 0.0, 0.0, 0.5, 0.5, -1.0, -1.5, 0.5, -2.0, -2.0, 0.5, 2.0, -1.0, -1.0, -1.0, -1.5, -0.5, 1.0, -1.0, 0.5, 0.5, -1.0, 0.0, -0.0, -1.0, -0.5, 1.5, 0.5, 1.0, 0.5, -1.5, 0.5, -1.0, 1.5, -2.0, -2.0, 1.5, -1.5, -0.0, 0.0, -1.0, 0.0, 0.5, 1.5, 2.0, 1.0, 1.0, -1.0, 0.5, -0.5, 1.5, 0.5, -1.0, -0.5, 0.5, 0.5, -2.0, -1.0, -0.0};
inline const std::vector<float> kTargets = {0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 1.0, 1.0, 1.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 1.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0};
inline const std::vector<double> kAveragePrecisions = {0.875, 0.8452380952380953, 1.0, 0.6916666666666667};
inline const std::vector<double> kF1 = {0.8, 0.7692307692307693, 0.6, 0.6666666666666666};
inline constexpr double kMeanAp = 0.8529761904761906,
    kMacroF1 = 0.708974358974359,
    kMicroF1 = 0.7213114754098361,
    kLogLoss = 0.48524997071735754,
    kWeightedLogLoss = 0.6777819230356218;
inline const std::vector<double> kPositiveWeights = {1.0, 3.0, 0.5, 2.0};
inline const std::vector<float> kNumbersMeant = {34.572, -2.938, 21.31, -2.989, 41.027, -2.689, 43.093, -2.614, 30.056, -2.67, 23.487, -3.298, 51.059, -2.574, 21.47, -2.706, 35.692, -3.389, 42.045, -2.936, 53.943, -3.721, 35.716, -3.071, 21.594, -2.413, 57.561, -3.313, 43.816, -3.135, 42.704, -3.338, 48.316, -3.583};
inline const std::vector<float> kNumbersSaid = {40.026, -2.795, 31.009, -3.65, 40.645, -3.203, 42.533, -2.44, 26.378, -3.244, 16.552, -3.21, 56.165, -2.106, 21.605, -3.09, 34.239, -3.992, 35.739, -2.509, 52.831, -3.595, 34.622, -2.541, 27.344, -2.724, 56.096, -3.583, 49.087, -2.636, 41.543, -2.418, 48.421, -4.069};
inline const std::vector<double> kMae = {3.2744705882352947, 0.4222352941176471};
inline const std::vector<double> kRmse = {4.343006196579671, 0.4727562485977687};
inline const std::vector<double> kR2 = {0.8500269274418722, -0.6504150167471319};
inline constexpr double kMeanSquaredError = 9.542600647058828,
    kMeanAbsoluteError = 1.848352941176471,
    kHuberLoss = 1.4743565882352947;

}  // namespace graft::train::goldens
// clang-format on
