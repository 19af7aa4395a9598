// The three likeliest answers to a photo. Usage: a_predict MODEL PHOTO
#include <cstdio>

#include "graft/graft.hpp"

int main(int, char** argv) try {
  const graft::Predictor predictor(argv[1]);
  std::puts(predictor.predict(argv[2]).text(3).c_str());
} catch (const graft::Error& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return static_cast<int>(error.code());
}
