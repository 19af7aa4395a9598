// Input: what a sample is. It says which files are samples, how one becomes a network's input (the
// same in training, evaluation and predict), and how it is changed at random for training.
#pragma once
#include <memory>
#include <string>

#include "graft/core/runtime/random.h"
#include "graft/io/augment.h"
#include "graft/io/datasets/census.h"
#include "graft/io/datasets/dataset.h"
#include "graft/io/preprocess.h"

namespace graft::train {

// Makes samples ready. For one thread; keeps its memory from one sample to the next.
class GRAFT_API SampleMaker {
 public:
  virtual ~SampleMaker() = default;
  // A sample but for the last step, Input::kept_bytes() of it, valid until the next call.
  struct Kept {
    const void* data = nullptr;
    bool mirrored = false;  // still to be; of images alone
  };
  // With `random` the sample is changed by the augmentation. Error(bad_input) naming the file.
  virtual Kept make(const io::Dataset& dataset, int64_t sample, CountedRandom* random) = 0;
  // The last step, into [size,width,channels] floats.
  virtual void finish(const Kept& kept, float* out) const = 0;
  // Gives back what the last sample's file and decoder hold; what was made stays.
  virtual void let_go() {}

  void input(const io::Dataset& dataset, int64_t sample, CountedRandom* random, float* out) {
    finish(make(dataset, sample, random), out);
  }
};

// An input is the same for every run; what a run's samples go through stands in its Preprocess. Any
// thread may call it.
class GRAFT_API Input {
 public:
  virtual ~Input() = default;
  virtual std::string name() const = 0;  // as --input and the model's card have it

  // ---- data
  virtual io::FileKind files() const;  // images', at first
  // Reads a sample: what is known of it, with a fault where it is broken. At first whether its
  // bytes are there, and their digest.
  virtual io::ImageFacts facts(const io::Dataset& dataset, int64_t sample) const;
  // Whether a place in a sample has one in the network's input, so that there are masks and boxes:
  // at first not.
  virtual bool has_places() const;

  // ---- the network
  // Makes the preprocessing of a network of images, or of this input already, one of this input's
  // samples. `settings` are the user's: "KEY=VALUE,..."; bad_input for one that does not exist. At
  // first the name is entered, and settings are refused.
  virtual void enter(io::Preprocess& preprocess, const std::string& settings) const;
  // bad_input for steps in the card that are damaged: at first none is known.
  virtual void check(const io::Preprocess& preprocess) const;

  // ---- samples
  virtual std::unique_ptr<SampleMaker> maker(const io::Preprocess& preprocess,
                                             const io::Augment& augment) const = 0;
  // Of SampleMaker::make(): f32 [size,width,channels], at first.
  virtual int64_t kept_bytes(const io::Preprocess& preprocess) const;
  // What is kept are 8-bit pixels [size,width,channels], of which a device makes the input itself.
  virtual bool keeps_pixels() const;
  // Recipe::augment as this input means it: at first "none" alone.
  virtual io::Augment augment(const std::string& name) const;

  // ---- showing
  // A sample as the network sees it: at first its numbers in grey, the least black.
  virtual io::Image picture(const io::Dataset& dataset, int64_t sample,
                            const io::Preprocess& preprocess) const;
};

// take_census() of samples of an input.
GRAFT_API std::vector<io::ImageFacts> census_of(const Input& input, const io::Dataset& dataset,
                                                io::CensusOptions options = {});

}  // namespace graft::train
