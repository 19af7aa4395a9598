// An architecture as JSON and its plain fields: all that a card needs, without the networks.
#include <nlohmann/json.hpp>

#include "graft/io/json.h"
#include "graft/models/architecture.h"

namespace graft::models {
namespace {

// What a plain ResNet does not have is not written: cards stay as they were.
nlohmann::json json_of(const ResNetConfig& c) {
  nlohmann::json j = {{"family", "resnet"},
                      {"name", c.name},
                      {"depths", c.depths},
                      {"bottleneck", c.bottleneck},
                      {"stride_in_3x3", c.stride_in_3x3},
                      {"eps", c.eps},
                      {"pool_pad_begin", c.pool_pad_begin},
                      {"pool_pad_end", c.pool_pad_end},
                      {"in_channels", c.in_channels},
                      {"stages", c.stages},
                      {"classes", c.classes}};
  if (c.groups != 1) j["groups"] = c.groups;
  if (c.base_width != 64) j["base_width"] = c.base_width;
  if (!c.stem.empty()) j["stem"] = c.stem;
  if (c.small_stem) j["small_stem"] = true;
  if (c.average_down) j["average_down"] = true;
  if (c.attention != ChannelAttention::none)
    j["attention"] = c.attention == ChannelAttention::eca ? "eca" : "squeeze";
  return j;
}

nlohmann::json json_of(const CifarResNetConfig& c) {
  return {{"family", "cifar_resnet"},
          {"depth", c.depth},
          {"in_channels", c.in_channels},
          {"classes", c.classes},
          {"eps", c.eps}};
}

nlohmann::json json_of(const FeatureConfig& c) {
  return {{"family", "features"}, {"name", c.name}, {"in_channels", c.in_channels},
          {"classes", c.classes}, {"cut", c.cut},   {"linear_head", c.linear_head},
          {"eps", c.eps}};
}

nlohmann::json json_of(const GraphConfig& c) {
  return {{"family", "graph"},
          {"name", c.name},
          {"in_channels", c.in_channels},
          {"classes", c.classes},
          {"classifier_input", c.classifier_input},
          {"features", c.features},
          {"own_head", c.own_head},
          {"pooled", c.pooled},
          {"eps", c.eps},
          {"graph", nlohmann::json::parse(graph_to_json(*c.source))}};
}

nlohmann::json json_of(const SegmentationConfig& c) {
  return {{"family", "segmentation"},
          {"decoder", c.decoder},
          {"widths", c.widths},
          {"classes", c.classes},
          {"height", c.height},
          {"width", c.width},
          {"output_stride", c.output_stride},
          {"encoder", std::visit([](const auto& encoder) { return json_of(encoder); }, c.encoder)}};
}

// Limits a hostile card: nothing here may ask for an absurd network.
template <class T>
T field(const nlohmann::json& j, const char* name, T low, T high) {
  T value;
  if constexpr (std::is_same_v<T, int64_t>) {
    value = io::json_integer(j, name, "the card\'s architecture");
  } else {
    value = j.at(name).get<T>();
  }
  GRAFT_CHECK(value >= low && value <= high, "the card's architecture has ", name, " ", value,
              ", expected ", low, " to ", high);
  return value;
}

constexpr int64_t kMostClasses = 1000000;

void read_variant(const nlohmann::json& j, ResNetConfig& c) {
  if (j.contains("groups")) c.groups = field<int64_t>(j, "groups", 1, 256);
  if (j.contains("base_width")) c.base_width = field<int64_t>(j, "base_width", 1, 512);
  if (j.contains("stem")) {
    const auto& stem = j.at("stem");
    GRAFT_CHECK(stem.is_array() && stem.size() >= 1 && stem.size() <= 4,
                "the card's architecture has a stem that is no list of one to four widths");
    for (const auto& width : stem) {
      GRAFT_CHECK(width.is_number_integer() && width >= 1 && width <= 1024,
                  "the card's architecture has a stem of width ", width.dump());
      c.stem.push_back(width.get<int64_t>());
    }
  }
  c.small_stem = j.value("small_stem", false);
  c.average_down = j.value("average_down", false);
  const auto attention = j.value("attention", std::string());
  GRAFT_CHECK(attention.empty() || attention == "squeeze" || attention == "eca",
              "the card's architecture has the attention '", attention,
              "', expected squeeze or eca");
  if (!attention.empty())
    c.attention = attention == "eca" ? ChannelAttention::eca : ChannelAttention::squeeze;
}

ResNetConfig resnet_from(const nlohmann::json& j) {
  ResNetConfig c;
  c.name = j.at("name").get<std::string>();
  const auto& depths = j.at("depths");
  GRAFT_CHECK(depths.is_array() && depths.size() == c.depths.size(),
              "the card's architecture does not give the blocks of four stages");
  for (size_t i = 0; i < c.depths.size(); ++i) {
    GRAFT_CHECK(depths[i].is_number_integer(), "the card's architecture has a stage of ",
                depths[i].dump(), " blocks");
    c.depths[i] = depths[i].get<int64_t>();
    GRAFT_CHECK(c.depths[i] >= 1 && c.depths[i] <= 200, "the card's architecture has a stage of ",
                c.depths[i], " blocks");
  }
  c.bottleneck = j.at("bottleneck").get<bool>();
  c.stride_in_3x3 = j.at("stride_in_3x3").get<bool>();
  c.eps = field(j, "eps", 0.0, 1.0);
  c.pool_pad_begin = field<int64_t>(j, "pool_pad_begin", 0, 2);
  c.pool_pad_end = field<int64_t>(j, "pool_pad_end", 0, 2);
  c.in_channels = field<int64_t>(j, "in_channels", 1, 4096);
  c.stages = field<int64_t>(j, "stages", 1, 4);
  c.classes = field<int64_t>(j, "classes", 0, kMostClasses);
  read_variant(j, c);
  return c;
}

CifarResNetConfig cifar_from(const nlohmann::json& j) {
  return {field<int64_t>(j, "depth", 8, 1202), field<int64_t>(j, "in_channels", 1, 4096),
          field<int64_t>(j, "classes", 0, kMostClasses), field(j, "eps", 0.0, 1.0)};
}

FeatureConfig features_from(const nlohmann::json& j) {
  FeatureConfig c;
  c.name = j.at("name").get<std::string>();  // an unknown one is refused where the network is made
  c.in_channels = field<int64_t>(j, "in_channels", 1, 4096);
  c.classes = field<int64_t>(j, "classes", 0, kMostClasses);
  c.cut = j.at("cut").get<std::string>();
  c.linear_head = j.at("linear_head").get<bool>();
  c.eps = field(j, "eps", 0.0, 1.0);
  return c;
}

GraphConfig graph_config_from(const nlohmann::json& j) {
  GraphConfig c;
  c.name = j.at("name").get<std::string>();
  c.in_channels = field<int64_t>(j, "in_channels", 1, 4096);
  c.classes = field<int64_t>(j, "classes", 0, kMostClasses);
  c.features = field<int64_t>(j, "features", 1, int64_t{1} << 32);
  c.classifier_input = j.at("classifier_input").get<std::string>();
  c.own_head = j.at("own_head").get<bool>();
  c.pooled = j.at("pooled").get<bool>();
  c.eps = field(j, "eps", 0.0, 1.0);
  GRAFT_CHECK(!c.own_head || c.classes > 0, "the card's architecture has a head for no classes");
  c.source = std::make_shared<GraphSource>(graph_from_json(j.at("graph").dump()));
  return c;
}

SegmentationConfig segmentation_from(const nlohmann::json& j) {
  SegmentationConfig c;
  GRAFT_CHECK(j.at("encoder").at("family") != "segmentation",
              "a segmentation network is no encoder of another");
  c.encoder = encoder_architecture(architecture_from_json(j.at("encoder").dump()));
  c.decoder = j.at("decoder").get<std::string>();  // an unknown one is refused as above
  const auto& widths = j.at("widths");
  GRAFT_CHECK(widths.is_array() && widths.size() >= 1 && widths.size() <= 8,
              "the card's architecture has a decoder without a list of one to eight widths");
  for (const auto& width : widths) {
    GRAFT_CHECK(width.is_number_integer() && width >= 1 && width <= 4096,
                "the card's architecture has a decoder of width ", width.dump());
    c.widths.push_back(width.get<int64_t>());
  }
  c.classes = field<int64_t>(j, "classes", 1, kMostClasses);
  c.height = field<int64_t>(j, "height", 1, 65536);
  c.width = field<int64_t>(j, "width", 1, 65536);
  c.output_stride = field<int64_t>(j, "output_stride", 0, 32);
  return c;
}

}  // namespace

std::string to_json(const Architecture& architecture) {
  return std::visit([](const auto& config) { return json_of(config).dump(); }, architecture);
}

Architecture architecture_from_json(const std::string& text) {
  io::check_json(text, "the card's architecture");
  try {
    const auto j = nlohmann::json::parse(text);
    const auto family = j.at("family").get<std::string>();
    if (family == "resnet") return resnet_from(j);
    if (family == "cifar_resnet") return cifar_from(j);
    if (family == "features") return features_from(j);
    if (family == "graph") return graph_config_from(j);
    if (family == "segmentation") return segmentation_from(j);
    bad_input("the card's architecture is of an unknown family '", family, "'");
  } catch (const nlohmann::json::exception& error) {
    bad_input("the card's architecture cannot be read: ", error.what());
  }
}

Architecture whole_architecture(const EncoderArchitecture& encoder) {
  return std::visit([](const auto& config) -> Architecture { return config; }, encoder);
}

EncoderArchitecture encoder_architecture(const Architecture& architecture) {
  return std::visit(
      [](const auto& config) -> EncoderArchitecture {
        if constexpr (std::is_same_v<std::decay_t<decltype(config)>, SegmentationConfig>)
          bad_input("a segmentation network is no encoder of another");
        else
          return config;
      },
      architecture);
}

namespace {

// Its graph, if any, as `change` makes it.
template <class F>
Architecture with_graph(const Architecture& architecture, const F& change) {
  Architecture changed = architecture;
  const auto put = [&](auto& whole) {
    if (auto* graph = std::get_if<GraphConfig>(&whole))
      graph->source = std::make_shared<GraphSource>(change(*graph->source));
  };
  put(changed);
  if (auto* segmentation = std::get_if<SegmentationConfig>(&changed)) put(segmentation->encoder);
  return changed;
}

}  // namespace

bool holds_graph(const Architecture& architecture) {
  const auto* segmentation = std::get_if<SegmentationConfig>(&architecture);
  return segmentation ? std::holds_alternative<GraphConfig>(segmentation->encoder)
                      : std::holds_alternative<GraphConfig>(architecture);
}

Architecture with_values(const Architecture& architecture, const StateDict& tensors) {
  return with_graph(architecture,
                    [&](const GraphSource& source) { return with_values(source, tensors); });
}

Architecture without_values(const Architecture& architecture) {
  return with_graph(architecture, [](const GraphSource& source) { return without_values(source); });
}

int64_t classes_of(const Architecture& architecture) {
  return std::visit([](const auto& config) { return config.classes; }, architecture);
}

namespace {

// The network that takes the images.
EncoderArchitecture encoder_of(const Architecture& architecture) {
  const auto* segmentation = std::get_if<SegmentationConfig>(&architecture);
  return segmentation ? segmentation->encoder : encoder_architecture(architecture);
}

}  // namespace

double eps_of(const Architecture& architecture) {
  return std::visit([](const auto& config) { return config.eps; }, encoder_of(architecture));
}

int64_t in_channels_of(const Architecture& architecture) {
  return std::visit([](const auto& config) { return config.in_channels; },
                    encoder_of(architecture));
}

void set_in_channels(Architecture& architecture, int64_t channels) {
  EncoderArchitecture encoder = encoder_of(architecture);
  std::visit([channels](auto& config) { config.in_channels = channels; }, encoder);
  if (auto* segmentation = std::get_if<SegmentationConfig>(&architecture))
    segmentation->encoder = std::move(encoder);
  else
    architecture = whole_architecture(encoder);
}

}  // namespace graft::models
