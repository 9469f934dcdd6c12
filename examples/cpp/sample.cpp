// Samples a detector response that `castalia export RUN -o model.onnx` wrote, without Python: reads what the file says of
// its columns, fills conditions, draws normal noise and runs the sampler in batches.
//
//   sample model.onnx [events] [seed]

#include <onnxruntime_cxx_api.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <random>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

constexpr std::int64_t kBatch = 4096;  // what fits into a processor's cache is fastest

// One entry of the file's metadata.
std::string Entry(const Ort::ModelMetadata& metadata, const std::string& key) {
  Ort::AllocatorWithDefaultOptions allocator;
  const auto value = metadata.LookupCustomMetadataMapAllocated(key.c_str(), allocator);
  if (!value) throw std::runtime_error("the file has no entry " + key + "; was it written by castalia export?");
  return value.get();
}

// An entry with one line for each column; a line may be empty.
std::vector<std::string> Lines(const std::string& text, std::size_t columns) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  lines.resize(columns);
  return lines;
}

std::vector<float> Numbers(const std::string& text, std::size_t columns) {
  std::vector<float> numbers;
  for (const auto& line : Lines(text, columns)) numbers.push_back(std::stof(line));
  return numbers;
}

// Number of columns of an input or output of shape (events, columns).
std::size_t Columns(const Ort::TypeInfo& info) {
  return static_cast<std::size_t>(info.GetTensorTypeAndShapeInfo().GetShape().at(1));
}

void Run(const char* path, std::int64_t events, std::uint64_t seed) {
  const Ort::Env env(ORT_LOGGING_LEVEL_WARNING, "castalia");
  const Ort::SessionOptions options;
  Ort::Session session(env, path, options);

  const auto metadata = session.GetModelMetadata();
  if (Entry(metadata, "castalia.format") != "1") throw std::runtime_error("the file has another format than 1");
  if (Entry(metadata, "castalia.kind") != "sampler") throw std::runtime_error("the file is no sampler");
  const std::size_t conditions = Columns(session.GetInputTypeInfo(0));
  const std::size_t targets = Columns(session.GetOutputTypeInfo(0));
  const auto condition_names = Lines(Entry(metadata, "castalia.condition.names"), conditions);
  const auto condition_units = Lines(Entry(metadata, "castalia.condition.units"), conditions);
  const auto low = Numbers(Entry(metadata, "castalia.condition.low"), conditions);
  const auto high = Numbers(Entry(metadata, "castalia.condition.high"), conditions);
  const auto target_names = Lines(Entry(metadata, "castalia.target.names"), targets);
  const auto target_units = Lines(Entry(metadata, "castalia.target.units"), targets);
  for (std::size_t i = 0; i < conditions; ++i) {
    std::printf("condition %-16s %g to %g %s\n", condition_names[i].c_str(), low[i], high[i],
                condition_units[i].c_str());
  }

  std::mt19937_64 random(seed);
  std::normal_distribution<float> normal;
  const auto memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
  const std::array<const char*, 2> inputs{"condition", "noise"};
  const std::array<const char*, 1> outputs{"target"};
  std::vector<float> condition(static_cast<std::size_t>(kBatch) * conditions);
  std::vector<float> noise(static_cast<std::size_t>(kBatch) * targets);
  std::vector<double> sum(targets), squares(targets);
  std::int64_t outside = 0;

  const auto begin = std::chrono::steady_clock::now();
  for (std::int64_t done = 0; done < events; done += kBatch) {
    const std::int64_t count = std::min(kBatch, events - done);
    for (std::int64_t event = 0; event < count; ++event) {
      bool inside = true;
      for (std::size_t i = 0; i < conditions; ++i) {
        // The middle of what the model was trained on. Fill in your own event here, in the units above.
        const float value = 0.5f * (low[i] + high[i]);
        condition[static_cast<std::size_t>(event) * conditions + i] = value;
        inside = inside && value >= low[i] && value <= high[i];
      }
      outside += !inside;
    }
    std::generate_n(noise.begin(), static_cast<std::size_t>(count) * targets, [&] { return normal(random); });

    const std::array<std::int64_t, 2> condition_shape{count, static_cast<std::int64_t>(conditions)};
    const std::array<std::int64_t, 2> noise_shape{count, static_cast<std::int64_t>(targets)};
    const std::array<Ort::Value, 2> given{
        Ort::Value::CreateTensor<float>(memory, condition.data(), static_cast<std::size_t>(count) * conditions,
                                        condition_shape.data(), condition_shape.size()),
        Ort::Value::CreateTensor<float>(memory, noise.data(), static_cast<std::size_t>(count) * targets,
                                        noise_shape.data(), noise_shape.size())};
    const auto result = session.Run(Ort::RunOptions{nullptr}, inputs.data(), given.data(), given.size(),
                                    outputs.data(), outputs.size());
    const float* target = result[0].GetTensorData<float>();
    for (std::int64_t event = 0; event < count; ++event) {
      for (std::size_t i = 0; i < targets; ++i) {
        const double value = target[static_cast<std::size_t>(event) * targets + i];
        sum[i] += value;
        squares[i] += value * value;
      }
    }
  }
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;

  const double number = static_cast<double>(events);
  for (std::size_t i = 0; i < targets; ++i) {
    const double mean = sum[i] / number;
    std::printf("target %-16s mean %.6g, standard deviation %.6g %s\n", target_names[i].c_str(), mean,
                std::sqrt(std::max(0.0, squares[i] / number - mean * mean)), target_units[i].c_str());
  }
  std::printf("%lld events, %lld outside the training range, %.0f events/s\n", static_cast<long long>(events),
              static_cast<long long>(outside), number / seconds.count());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: %s model.onnx [events] [seed]\n", argv[0]);
    return 2;
  }
  try {
    Run(argv[1], argc > 2 ? std::stoll(argv[2]) : 100000, argc > 3 ? std::stoull(argv[3]) : 1);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
  return 0;
}
