// Architecture: a native network as plain data, as it stands in a model's card, and the network
// made from it.
#pragma once
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "graft/models/cifar_resnet.h"
#include "graft/models/feature_network.h"
#include "graft/models/graph/graph_config.h"
#include "graft/models/resnet.h"
#include "graft/models/segmentation/segmentation_config.h"

namespace graft::models {

using Architecture =
    std::variant<ResNetConfig, CifarResNetConfig, FeatureConfig, GraphConfig, SegmentationConfig>;
GRAFT_API Architecture whole_architecture(const EncoderArchitecture& encoder);
// bad_input for a segmentation network.
GRAFT_API EncoderArchitecture encoder_architecture(const Architecture& architecture);

// Whether a graph is the network, or its encoder: then it is made of the values that its tensors
// have, where a card has none.
GRAFT_API bool holds_graph(const Architecture& architecture);
GRAFT_API Architecture with_values(const Architecture& architecture, const StateDict& tensors);
GRAFT_API Architecture without_values(const Architecture& architecture);

// The names that --arch takes: resnet18 .. resnet152, cifar_resnet20 .. cifar_resnet56, vgg16_bn,
// mobilenet_v2 ...
GRAFT_API std::vector<std::string> architecture_names();
// bad_input listing the names for any other.
GRAFT_API Architecture architecture_named(std::string_view name);
GRAFT_API std::string name_of(const Architecture& architecture);

// Fields by name, keys sorted. from_json: bad_input when a field is missing or makes no sense.
GRAFT_API std::string to_json(const Architecture& architecture);
GRAFT_API Architecture architecture_from_json(const std::string& json);

// Parameters at their default values (layers/modules/default_values.h): initialize() or a file
// gives others. bad_input for a configuration that cannot be built.
GRAFT_API std::shared_ptr<StagedNetwork> make_network(const Architecture& architecture);

// The path of the head's layer ("fc", "linear", "classifier.6"); of a segmentation network
// "decoder".
GRAFT_API std::string head_path(const Architecture& architecture);
GRAFT_API int64_t classes_of(const Architecture& architecture);  // 0: no head
GRAFT_API int64_t in_channels_of(const Architecture& architecture);
GRAFT_API void set_in_channels(Architecture& architecture, int64_t channels);
// Of every batch norm.
GRAFT_API double eps_of(const Architecture& architecture);
// The path of the batch norm behind the convolution at `conv`; "" when there is none.
GRAFT_API std::string norm_behind(const Architecture& architecture, const std::string& conv);
// True where convolutions have a bias beside the batch norm behind them (torchvision's VGG).
GRAFT_API bool biased_before_norms(const Architecture& architecture);
// "resnet18, cut after layer3, 256 features, 2 classes".
GRAFT_API std::string describe(const Architecture& architecture);

// Gives the network a new head for `classes` classes, initialised from `seed`; the architecture
// follows.
GRAFT_API void replace_head(StagedNetwork& network, Architecture& architecture, int64_t classes,
                            uint64_t seed);

}  // namespace graft::models
