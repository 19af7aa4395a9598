#include "graft/io/sounds/sound_steps.h"

#include <charconv>
#include <cmath>
#include <functional>
#include <nlohmann/json.hpp>

#include "graft/core/base/error.h"
#include "graft/core/base/text.h"
#include "graft/io/json.h"
#include "graft/io/preprocess.h"

namespace graft::io {
namespace {

constexpr const char* kWhat = "how sounds are read";

// What a key sets, in one table for settings and cards.
struct StepFields {
  std::function<void(const char*, int64_t&)> whole;
  std::function<void(const char*, double&)> real;
  std::function<void(const char*, std::string&)> word;
  std::function<void(const char*, bool&)> yes;
};

void visit(SoundSteps& s, const StepFields& f) {
  f.whole("coefficients", s.coefficients);
  f.yes("center", s.center);
  f.word("crop", s.crop);
  f.word("features", s.features);
  f.whole("fft", s.fft);
  f.real("floor", s.floor);
  f.whole("frames", s.frames);
  f.whole("height", s.height);
  f.real("high", s.high);
  f.whole("hop", s.hop);
  f.real("lifter", s.lifter);
  f.word("log", s.log);
  f.real("low", s.low);
  f.whole("mels", s.mels);
  f.word("norm", s.norm);
  f.word("normalize", s.normalize);
  f.word("pad", s.pad);
  f.real("power", s.power);
  f.real("range", s.range);
  f.whole("rate", s.rate);
  f.word("reference", s.reference);
  f.word("scale", s.scale);
  f.word("shape", s.shape);
  f.real("trim", s.trim);
  f.whole("width", s.width);
  f.whole("window", s.window);
}

void check_word(const char* key, const std::string& value,
                std::initializer_list<std::string_view> choices) {
  for (const std::string_view choice : choices)
    if (value == choice) return;
  std::vector<std::string> names(choices.begin(), choices.end());
  bad_input(kWhat, ": ", key, " '", value, "' is none of ", join(names));
}

void check_range(const char* key, double value, double least, double most) {
  GRAFT_CHECK(value >= least && value <= most, kWhat, ": ", key, " ", value, " is not between ",
              least, " and ", most);
}

template <class Number>
bool read_number(const std::string& text, Number& number) {
  const char* end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, number);
  return read.ec == std::errc() && read.ptr == end;
}

// Of one key. False: there is none of that name.
bool set_one(SoundSteps& steps, const std::string& key, const std::string& value) {
  bool is_known = false, is_read = true;
  const auto number = [&](const char* name, auto& field) {
    if (key != name) return;
    is_known = true;
    is_read = read_number(value, field);
  };
  visit(steps, {.whole = number,
                .real = number,
                .word =
                    [&](const char* name, std::string& field) {
                      if (key != name) return;
                      is_known = true;
                      field = value;
                    },
                .yes =
                    [&](const char* name, bool& field) {
                      if (key != name) return;
                      is_known = true;
                      is_read = value == "yes" || value == "no";
                      field = value == "yes";
                    }});
  GRAFT_CHECK(is_read, kWhat, ": ", key, "=", value, " cannot be read");
  return is_known;
}

}  // namespace

int64_t SoundSteps::rows() const {
  if (features == "spectrogram") return fft / 2 + 1;
  return features == "mfcc" ? coefficients : mels;
}

int64_t SoundSteps::samples() const { return hop * (frames - 1) + (center ? 0 : fft); }

void SoundSteps::validate() const {
  const auto whole = [](const char* key, int64_t value, int64_t least, int64_t most) {
    check_range(key, static_cast<double>(value), static_cast<double>(least),
                static_cast<double>(most));
  };
  whole("rate", rate, 1000, 192000);
  whole("frames", frames, 2, 8192);
  whole("fft", fft, 16, 16384);
  whole("window", window, 2, fft);
  whole("hop", hop, 1, 16384);
  whole("samples of all frames", samples(), 1, int64_t{1} << 24);
  whole("mels", mels, 1, 1024);
  whole("coefficients", coefficients, 1, mels);
  whole("height", height, 0, 8192);
  whole("width", width, 0, 8192);
  check_range("trim", trim, 0, 200);
  check_range("low", low, 0, static_cast<double>(rate) / 2);
  check_range("high", high, 0, static_cast<double>(rate) / 2);
  GRAFT_CHECK(high == 0 || high > low, kWhat, ": bands from ", low, " to ", high, " Hz");
  GRAFT_CHECK(power == 1 || power == 2, kWhat, ": power ", power, " is neither 1 nor 2");
  check_range("floor", floor, 1e-30, 1);
  check_range("range", range, 0, 400);
  check_range("lifter", lifter, 0, 1000);
  check_word("crop", crop, {"start", "middle"});
  check_word("shape", shape, {"hann", "hamming", "rectangular"});
  check_word("pad", pad, {"zero", "reflect"});
  check_word("features", features, {"spectrogram", "mel", "logmel", "mfcc"});
  check_word("scale", scale, {"slaney", "htk"});
  check_word("norm", norm, {"slaney", "none"});
  check_word("log", log, {"db", "ln"});
  check_word("reference", reference, {"max", "one"});
  check_word("normalize", normalize, {"range", "sound", "none"});
  GRAFT_CHECK(pad == "zero" || !center || fft / 2 < samples(), kWhat, ": ", samples(),
              " samples are too few to reflect half of fft ", fft);
}

void SoundSteps::set(const std::string& settings) {
  for (size_t begin = 0; begin < settings.size();) {
    const size_t end = std::min(settings.find(',', begin), settings.size());
    const std::string one = settings.substr(begin, end - begin);
    begin = end + 1;
    const size_t equals = one.find('=');
    GRAFT_CHECK(equals != std::string::npos, kWhat, ": '", one, "' is not KEY=VALUE");
    const std::string key = one.substr(0, equals), value = one.substr(equals + 1);
    if (key == "size") {
      const auto sides = image_sides(value);
      height = sides[0];
      width = sides[1];
      continue;
    }
    if (set_one(*this, key, value)) continue;
    std::vector<std::string> keys{"size"};
    const auto name = [&](const char* known, auto&) { keys.emplace_back(known); };
    visit(*this, {name, name, name, name});
    bad_input(kWhat, ": there is no '", key, "'; there are ", join(keys));
  }
  validate();
}

std::string SoundSteps::to_json() const {
  nlohmann::json j = nlohmann::json::object();
  SoundSteps copy = *this;
  const auto put = [&](const char* key, const auto& value) { j[key] = value; };
  visit(copy, {put, put, put, put});
  return j.dump();
}

SoundSteps SoundSteps::from_json(const std::string& text) {
  check_json(text, kWhat);
  try {
    const auto j = nlohmann::json::parse(text);
    SoundSteps steps;
    visit(
        steps,
        {.whole = [&](const char* key, int64_t& field) { field = json_integer(j, key, kWhat); },
         .real = [&](const char* key, double& field) { field = j.at(key).get<double>(); },
         .word = [&](const char* key, std::string& field) { field = j.at(key).get<std::string>(); },
         .yes = [&](const char* key, bool& field) { field = j.at(key).get<bool>(); }});
    steps.validate();
    return steps;
  } catch (const nlohmann::json::exception& error) {
    bad_input(kWhat, " cannot be read: ", error.what());
  }
}

}  // namespace graft::io
