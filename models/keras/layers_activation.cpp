// Activations, as layers and as what other layers end in, and the dropouts.
#include <cmath>
#include <functional>
#include <map>

#include "graft/core/base/error.h"
#include "graft/models/keras/layers.h"

namespace graft::models::keras {
namespace {

// Nodes of one input behind a value of any order of axes.
Value through(LayerCall& call, const Value& value, const char* op, Attributes attributes = {}) {
  return call.with_name(value, call.writer.node(op, {value.name}, std::move(attributes)));
}

Value clip(LayerCall& call, const Value& value, double low, double high) {
  const std::string least = std::isinf(low) ? "" : call.writer.number(low);
  std::vector<std::string> inputs{value.name, least};
  if (!std::isinf(high)) inputs.push_back(call.writer.number(high));
  return call.with_name(value, call.writer.node("Clip", inputs));
}

// max_value where x is above it, x from the threshold on, slope * (x - threshold) below.
Value general_relu(LayerCall& call, const Value& x, double slope, double most, double threshold) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  if (threshold == 0 && slope == 0)
    return std::isinf(most) ? through(call, x, "Relu") : clip(call, x, 0, most);
  Value y = threshold == 0 ? through(call, x, "LeakyRelu", {real("alpha", slope)})
                           : through(call, x, "ThresholdedRelu", {real("alpha", threshold)});
  if (!std::isinf(most)) y = clip(call, y, -infinity, most);
  if (threshold == 0 || slope == 0) return y;
  Writer& w = call.writer;
  const Value away =
      clip(call, call.with_name(x, w.node("Sub", {x.name, w.number(threshold)})), -infinity, 0);
  return call.with_name(x, w.node("Add", {y.name, w.node("Mul", {away.name, w.number(slope)})}));
}

double most_of(const LayerSettings& settings) {
  return settings.real("max_value", std::numeric_limits<double>::infinity());
}

Value softmax_along(LayerCall& call, const Value& value, int64_t axis, const char* op) {
  return through(call, value, op, {integer("axis", Writer::stored_axis(value, axis))});
}

// clip(slope * x + 0.5, 0, 1): Keras 2's slope is 0.2, Keras 3's 1/6.
double hard_slope(const LayerCall& call) { return call.generation < 3 ? 0.2 : 1.0 / 6; }

Value hard_sigmoid(LayerCall& call, const Value& value) {
  return through(call, value, "HardSigmoid", {real("alpha", hard_slope(call)), real("beta", 0.5)});
}

Value gelu(LayerCall& call, const Value& value, bool approximate) {
  call.writer.needs_opset(20);
  return through(call, value, "Gelu", {text("approximate", approximate ? "tanh" : "none")});
}

Value mish(LayerCall& call, const Value& value) {
  call.writer.needs_opset(18);
  return through(call, value, "Mish");
}

Value silu(LayerCall& call, const Value& value) {
  const std::string gate = call.writer.node("Sigmoid", {value.name});
  return call.with_name(value, call.writer.node("Mul", {value.name, gate}));
}

using Apply = std::function<Value(LayerCall&, const Value&, const LayerSettings&)>;

Apply node_named(const char* op) {
  return [op](LayerCall& call, const Value& value, const LayerSettings&) {
    return through(call, value, op);
  };
}

// (x + sqrt(x^2 + b)) / 2
Value squareplus(LayerCall& call, const Value& x, double b) {
  Writer& w = call.writer;
  const std::string square = w.node("Mul", {x.name, x.name}),
                    root = w.node("Sqrt", {w.node("Add", {square, w.number(b)})}),
                    sum = w.node("Add", {x.name, root});
  return call.with_name(x, w.node("Mul", {sum, w.number(0.5)}));
}

std::map<std::string, Apply> make_functions() {
  std::map<std::string, Apply> functions;
  for (const auto& [name, op] :
       {std::pair{"sigmoid", "Sigmoid"}, std::pair{"tanh", "Tanh"},
        std::pair{"softplus", "Softplus"}, std::pair{"softsign", "Softsign"},
        std::pair{"exponential", "Exp"}, std::pair{"hard_silu", "HardSwish"},
        std::pair{"hard_swish", "HardSwish"}})
    functions[name] = node_named(op);
  using Settings = LayerSettings;
  functions["linear"] = [](auto&, const Value& v, const Settings&) { return v; };
  functions["relu"] = [](auto& c, const Value& v, const Settings& s) {
    return general_relu(c, v, s.real("negative_slope", s.real("alpha", 0)), most_of(s),
                        s.real("threshold", 0));
  };
  functions["relu6"] = [](auto& c, const Value& v, const Settings&) { return clip(c, v, 0, 6); };
  functions["leaky_relu"] = [](auto& c, const Value& v, const Settings& s) {
    return through(c, v, "LeakyRelu",
                   {real("alpha", s.real("negative_slope", s.real("alpha", 0.2)))});
  };
  functions["elu"] = [](auto& c, const Value& v, const Settings& s) {
    return through(c, v, "Elu", {real("alpha", s.real("alpha", 1))});
  };
  functions["celu"] = [](auto& c, const Value& v, const Settings& s) {
    return through(c, v, "Celu", {real("alpha", s.real("alpha", 1))});
  };
  functions["selu"] = [](auto& c, const Value& v, const Settings&) {
    return through(
        c, v, "Selu",
        {real("alpha", 1.67326319217681884765625), real("gamma", 1.05070102214813232421875)});
  };
  functions["gelu"] = [](auto& c, const Value& v, const Settings& s) {
    return gelu(c, v, s.flag("approximate", false));
  };
  functions["silu"] =
      functions["swish"] = [](auto& c, const Value& v, const Settings&) { return silu(c, v); };
  functions["mish"] = [](auto& c, const Value& v, const Settings&) { return mish(c, v); };
  functions["hard_sigmoid"] = [](auto& c, const Value& v, const Settings&) {
    return hard_sigmoid(c, v);
  };
  functions["hard_tanh"] = [](auto& c, const Value& v, const Settings&) {
    return clip(c, v, -1, 1);
  };
  functions["softmax"] = [](auto& c, const Value& v, const Settings& s) {
    return softmax_along(c, v, s.integer("axis", -1), "Softmax");
  };
  functions["log_softmax"] = [](auto& c, const Value& v, const Settings& s) {
    return softmax_along(c, v, s.integer("axis", -1), "LogSoftmax");
  };
  functions["log_sigmoid"] = [](auto& c, const Value& v, const Settings&) {
    return through(c, through(c, through(c, v, "Neg"), "Softplus"), "Neg");
  };
  functions["tanh_shrink"] = [](auto& c, const Value& v, const Settings&) {
    const Value away = through(c, v, "Tanh");
    return c.with_name(v, c.writer.node("Sub", {v.name, away.name}));
  };
  functions["hard_shrink"] = [](auto& c, const Value& v, const Settings& s) {
    return through(c, v, "Shrink", {real("lambd", s.real("threshold", 0.5)), real("bias", 0)});
  };
  functions["soft_shrink"] = [](auto& c, const Value& v, const Settings& s) {
    const double by = s.real("threshold", 0.5);
    return through(c, v, "Shrink", {real("lambd", by), real("bias", by)});
  };
  functions["squareplus"] = [](auto& c, const Value& v, const Settings& s) {
    return squareplus(c, v, s.real("b", 4));
  };
  return functions;
}

// Layers whose class is an activation of other defaults.
Value relu_layer(LayerCall& call) {
  return apply_activation(call, call.in(), "relu", call.settings());
}
Value leaky_relu_layer(LayerCall& call) {
  const LayerSettings& s = call.settings();
  return through(call, call.in(), "LeakyRelu",
                 {real("alpha", s.real("negative_slope", s.real("alpha", 0.3)))});
}
Value elu_layer(LayerCall& call) {
  return apply_activation(call, call.in(), "elu", call.settings());
}
Value thresholded_relu_layer(LayerCall& call) {
  return through(call, call.in(), "ThresholdedRelu",
                 {real("alpha", call.settings().real("theta", 1))});
}
Value softmax_layer(LayerCall& call) {
  const auto axes = call.settings().integers("axis", {-1});
  GRAFT_CHECK(axes.size() == 1, "is a softmax over ", axes.size(), " axes at once");
  return softmax_along(call, call.in(), axes[0], "Softmax");
}
Value activation_layer(LayerCall& call) { return activated(call, call.in()); }

Value prelu_layer(LayerCall& call) {
  const Value& in = call.in();
  std::vector<int64_t> extents(in.dims.begin() + 1, in.dims.end());
  for (const int64_t axis : call.settings().integers("shared_axes", {})) {
    GRAFT_CHECK(axis >= 1 && axis < static_cast<int64_t>(in.rank()), "shares its slopes over an ",
                "axis that there is not, ", axis);
    extents[static_cast<size_t>(axis) - 1] = 1;
  }
  Tensor slopes = call.take({"alpha", "alphas"}, extents);
  if (in.channels_first) {
    std::vector<int64_t> whole{1};
    whole.insert(whole.end(), slopes.shape().begin(), slopes.shape().end());
    slopes = call.writer.meeting(in, slopes.reshape(Shape(whole)));
    if (slopes.rank() == static_cast<int>(in.rank())) {
      const std::vector<int64_t> inner(slopes.shape().begin() + 1, slopes.shape().end());
      slopes = slopes.reshape(Shape(inner));
    }
  }
  return call.with_name(in, call.writer.node("PRelu", {in.name, call.trained("alpha", slopes)}));
}

Value dropout_layer(LayerCall& call) {
  const Value& in = call.in();
  const double rate = call.settings().real("rate", call.settings().real("p", 0.5));
  GRAFT_CHECK(rate >= 0 && rate < 1, "its rate is ", rate);
  if (call.layer.kind != "Dropout") call.findings.whole_maps.push_back(call.path.text());
  if (rate == 0) return in;
  Value out = call.with_name(in, call.writer.node("Dropout", {in.name, call.writer.number(rate)}));
  return out;
}

// What only training has and graft has not.
Value noise_layer(LayerCall& call) {
  call.findings.noise.push_back(call.title());
  return call.in();
}

constexpr LayerKind kActivationLayers[] = {
    {"Activation", activation_layer},
    {"ReLU", relu_layer},
    {"LeakyReLU", leaky_relu_layer},
    {"ELU", elu_layer},
    {"PReLU", prelu_layer},
    {"ThresholdedReLU", thresholded_relu_layer},
    {"Softmax", softmax_layer},
    {"Dropout", dropout_layer},
    {"SpatialDropout1D", dropout_layer},
    {"SpatialDropout2D", dropout_layer},
    {"SpatialDropout3D", dropout_layer},
    {"GaussianNoise", noise_layer},
    {"GaussianDropout", noise_layer},
    {"AlphaDropout", noise_layer},
    {"ActivityRegularization", noise_layer},
    {"StochasticDepth", noise_layer},  // of keras.applications' ConvNeXt
};

}  // namespace

Value apply_activation(LayerCall& call, Value value, const std::string& function,
                       const LayerSettings& settings) {
  static const std::map<std::string, Apply> functions = make_functions();
  const auto found = functions.find(function);
  GRAFT_CHECK(found != functions.end(), "its activation '", function.substr(0, 60),
              "' is none that graft knows");
  return found->second(call, value, settings);
}

Value activated(LayerCall& call, Value value, const char* key) {
  const LayerSettings& s = call.settings();
  if (!s.has(key)) return value;
  if (!s.is_object(key)) return apply_activation(call, value, s.text(key, "linear"), {});
  // {"class_name": "function", "config": "relu"}, or a layer that stands there.
  const LayerSettings object = s.within(key);
  const std::string kind = object.text("class_name", "");
  GRAFT_CHECK(object.text("registered_name", "").find('>') == std::string::npos, "its activation '",
              kind, "' is custom Python code, which graft does not run");
  if (kind == "function" || object.is_text("config"))
    return apply_activation(call, value, object.text("config", ""), {});
  Layer inner;
  inner.kind = kind;
  inner.name = call.layer.name;
  inner.settings = object.within("config");
  GRAFT_CHECK(kind != "Activation" && find_layer(inner), "its activation is a ", kind,
              ", which graft does not know as one");
  const bool is_activation =
      std::any_of(std::begin(kActivationLayers), std::end(kActivationLayers),
                  [&](const LayerKind& k) { return kind == k.name && kind != "PReLU"; });
  GRAFT_CHECK(is_activation, "its activation is a ", kind, ", which graft does not know as one");
  const std::vector<Value> inputs{value};
  LayerCall within{inner,          call.path,     inputs,          call.writer,
                   call.variables, call.findings, call.generation, nullptr};
  return find_layer(inner)->run(within);
}

LayerTable activation_layers() { return kActivationLayers; }

}  // namespace graft::models::keras
