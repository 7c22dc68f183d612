#include "store/store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <thread>

#include "base/error.h"
#include "store_support.h"

namespace hearth {
namespace {

using test::files_below;
using test::install;
using test::make_old;
using test::write_file;
using testing::HasSubstr;

ModelName name_of(std::string_view text) { return ModelName::parse_or_throw(text); }

class StoreTest : public testing::Test {
 protected:
  StoreTest() : store(options()) {}
  StoreOptions options() {
    return {folder.path() / "models", true, std::chrono::hours(1),
            [this](const std::string& line) { warnings.push_back(line); }};
  }
  std::vector<std::string> names() {
    std::vector<std::string> found;
    for (const auto& model : store.list()) found.push_back(model.name.short_display());
    std::sort(found.begin(), found.end());
    return found;
  }

  test::TemporaryFolder folder;
  std::vector<std::string> warnings;
  Store store;
};

TEST(DigestTest, OfKnownTexts) {
  EXPECT_EQ(digest_of("").hex(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(digest_of("abc").text(),
            "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  const std::string upper = "sha256-BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD";
  EXPECT_EQ(Digest::parse(upper), digest_of("abc"));
  for (const std::string& bad :
       {std::string(), upper + "0", upper.substr(1), std::string("sha256:") + std::string(64, 'g'),
        "sha512:" + upper.substr(7), "../../" + upper.substr(6)}) {
    EXPECT_FALSE(Digest::parse(bad)) << bad;
    EXPECT_THROW(Digest::parse_or_throw(bad), Error);
  }
}

TEST_F(StoreTest, KeepsTheLayoutOfOllama) {
  const Manifest manifest = install(store, "me/Model:q4", "weights");
  const auto root = folder.path() / "models";
  const auto file = root / "manifests/registry.ollama.ai/me/Model/q4";
  EXPECT_EQ(read_file(file), manifest.bytes);
  EXPECT_EQ(manifest.digest, digest_of(manifest.bytes));
  EXPECT_EQ(manifest.bytes.back(), '\n');
  EXPECT_EQ(read_file(root / "blobs" / digest_of("weights").file_name()), "weights");
  EXPECT_EQ(std::filesystem::status(file).permissions() & std::filesystem::perms::all,
            std::filesystem::perms(0644));
  EXPECT_EQ(files_below(root), 4U);  // nothing temporary stays
}

TEST_F(StoreTest, ListsAndFindsWithoutRegardToCase) {
  EXPECT_TRUE(store.list().empty());
  install(store, "Foo", "a");
  install(store, "hf.co/Owner/Repo:Q4_K_M", "b");
  EXPECT_THAT(names(), testing::ElementsAre("Foo:latest", "hf.co/Owner/Repo:Q4_K_M"));
  const auto model = store.get(name_of("HF.co/owner/repo:q4_k_m"));
  EXPECT_EQ(model.name.full_display(), "hf.co/Owner/Repo:Q4_K_M");
  EXPECT_EQ(model.config.model_family, "llama");
  EXPECT_EQ(model.manifest.size(), 1 + 9 + model.manifest.config->size);
  EXPECT_FALSE(store.find(name_of("foo:other")));
  try {
    store.get(name_of("nothing"));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code, Code::not_found);
    EXPECT_EQ(error.message, "model 'nothing:latest' not found");
  }
  install(store, "foo", "c");  // overwrites Foo
  EXPECT_EQ(names().size(), 2U);
  EXPECT_EQ(store.get(name_of("FOO")).name.model, "Foo");
  EXPECT_FALSE(store.blob_size(digest_of("a")));
  EXPECT_TRUE(store.blob_size(digest_of("c")));
}

TEST_F(StoreTest, NewestModelIsListedFirst) {
  install(store, "old", "a");
  install(store, "new", "b");
  make_old(store.manifests_folder() / name_of("old").path(), 100);
  EXPECT_EQ(store.list().front().name.model, "new");
  make_old(store.manifests_folder() / name_of("new").path(), 200);
  EXPECT_EQ(store.list().front().name.model, "old");
}

TEST_F(StoreTest, ReadsAPublishedManifestByteForByte) {
  const std::string config = R"({"model_format":"gguf","model_family":"llama","model_families":null,"x":[1],)"
                             R"("model_type":"1.2B","file_type":"Q8_0","architecture":"amd64","os":"linux"})";
  const Layer config_layer = store.add_blob(config, media::config);
  const Layer weights = store.add_blob("GGUF...", media::model);
  const std::string bytes = fmt::format(
      "{{ \"schemaVersion\":2,\n \"extra\":{{\"kept\":true}}, \"config\":{{\"digest\":\"{}\",\"size\":{}}},"
      "\"layers\":[{{\"mediaType\":\"{}\",\"digest\":\"{}\",\"size\":7,\"from\":\"base:latest\"}},"
      "{{\"mediaType\":\"application/vnd.example.unknown\",\"digest\":\"{}\",\"size\":7}}]}}",
      config_layer.digest.text(), config_layer.size, media::model, weights.digest.text(),
      weights.digest.text());
  store.write_manifest(name_of("m"), Manifest::parse(bytes));
  store.copy(name_of("m"), name_of("you/copy:v2"));
  for (const char* name : {"m", "you/copy:v2"}) {
    const auto model = store.get(name_of(name));
    EXPECT_EQ(model.manifest.bytes, bytes);
    EXPECT_EQ(model.manifest.digest, digest_of(bytes));
    EXPECT_EQ(model.config.model_type, "1.2B");
    EXPECT_TRUE(model.config.families.empty());
    EXPECT_EQ(model.config.other.at("x"), json::array{1});
    const ModelParts parts = read_parts(store, model);
    EXPECT_EQ(parts.model, store.blob_path(weights.digest));
    EXPECT_EQ(parts.parent_model, "base:latest");
  }
  const ModelConfig again = ModelConfig::parse(ModelConfig::parse(config).print({weights}));
  EXPECT_EQ(again.file_type, "Q8_0");
  EXPECT_EQ(again.other.size(), 1U);
}

TEST_F(StoreTest, ReadsThePartsOfAModel) {
  std::vector<Layer> layers;
  const auto add = [&](std::string_view text, std::string_view type) {
    layers.push_back(store.add_blob(text, type));
  };
  add("weights", media::model);
  add("eyes", media::projector);
  add("lora", media::adapter);
  add("lora2", media::adapter);
  add("draft", media::draft);
  add("old template", media::prompt_alias);
  add("{{ .Prompt }}", media::prompt_template);
  add("first", media::system);
  add("second", media::system);
  add(R"({"stop":["a","b"],"temperature":0.5})", media::params);
  add(R"([{"role":"user","content":"hi"}])", media::messages);
  add("MIT", media::license);
  add("Apache", media::license);
  store.write_manifest(name_of("m"), Manifest::make(store.add_blob("{}", media::config), layers));
  ModelParts parts = read_parts(store, store.get(name_of("m")));
  EXPECT_EQ(parts.projectors.size(), 1U);
  EXPECT_EQ(parts.adapters.size(), 2U);
  EXPECT_EQ(read_file(parts.draft), "draft");
  EXPECT_EQ(parts.prompt_template, "{{ .Prompt }}");
  EXPECT_EQ(parts.system, "second");
  EXPECT_EQ(parts.params.at("stop").as_array().size(), 2U);
  EXPECT_EQ(parts.messages.size(), 1U);
  EXPECT_THAT(parts.licenses, testing::ElementsAre("MIT", "Apache"));
  std::filesystem::remove(parts.draft);
  EXPECT_THROW(read_parts(store, store.get(name_of("m"))), Error);
}

TEST_F(StoreTest, SkipsWhatIsBroken) {
  install(store, "good", "a");
  const auto manifests = store.manifests_folder() / "registry.ollama.ai/library";
  write_file(manifests / "broken/latest", "{not json");
  write_file(manifests / "deep/er/latest", "{}");
  write_file(manifests / "flat", "{}");
  write_file(manifests / ".DS_Store", "x");
  write_file(manifests / "good/.DS_Store", "x");
  write_file(manifests / "digest/latest", R"({"layers":[{"digest":"sha256:../../../etc/passwd"}]})");
  write_file(manifests / "array/latest", "[]");
  write_file(manifests / "deepjson/latest", std::string(100000, '['));
  write_file(manifests / "noconfig/latest",
             fmt::format(R"({{"config":{{"digest":"{}"}},"layers":[]}})", digest_of("missing").text()));
  write_file(manifests / "noname/latest", R"({"config":{"digest":""},"layers":[]})");
  EXPECT_THAT(names(), testing::ElementsAre("good:latest", "noname:latest"));
  EXPECT_EQ(warnings.size(), 5U);
  try {
    store.find(name_of("noconfig"));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code, Code::corrupt_file);
    EXPECT_THAT(error.message, HasSubstr("noconfig"));
  }
  // Nobody knows what the broken ones use: nothing may be removed.
  const auto orphan = store.add_blob("orphan", media::model);
  make_old(store.blob_path(orphan.digest), 10000);
  EXPECT_TRUE(store.prune().skipped);
  EXPECT_TRUE(store.blob_size(orphan.digest));
  store.remove(name_of("good"));
  EXPECT_TRUE(store.blob_size(digest_of("a")));
  store.remove(name_of("broken"));  // a broken manifest itself can be removed
  EXPECT_FALSE(store.spelling(name_of("broken")));
}

TEST_F(StoreTest, RemovesOnlyWhatNobodyElseUses) {
  install(store, "a", "shared", "one");
  install(store, "ns/b:x", "shared", "two");
  store.remove(name_of("A"));
  EXPECT_TRUE(store.blob_size(digest_of("shared")));
  EXPECT_FALSE(store.blob_size(digest_of("one")));
  EXPECT_FALSE(std::filesystem::exists(store.manifests_folder() / "registry.ollama.ai/library"));
  EXPECT_THROW(store.remove(name_of("a")), Error);
  store.remove(name_of("ns/b:x"));
  EXPECT_EQ(files_below(store.options().root), 0U);
  EXPECT_TRUE(std::filesystem::exists(store.manifests_folder()));
}

TEST_F(StoreTest, CopySharesBlobsAndKeepsThem) {
  install(store, "a", "weights");
  store.copy(name_of("a"), name_of("A"));  // the same name: nothing happens
  store.copy(name_of("a"), name_of("b:1"));
  store.remove(name_of("a"));
  EXPECT_EQ(read_file(read_parts(store, store.get(name_of("b:1"))).model), "weights");
  try {
    store.copy(name_of("a"), name_of("c"));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.message, "model \"a:latest\" not found");
  }
}

TEST_F(StoreTest, ManifestNeedsItsBlobs) {
  const Layer there = store.add_blob("there", media::model);
  const Layer missing{std::string(media::config), digest_of("missing"), 7, {}, {}};
  EXPECT_THROW(store.write_manifest(name_of("m"), Manifest::make(missing, {there})), Error);
  EXPECT_TRUE(names().empty());
}

TEST_F(StoreTest, RefusesAWrongDigestAndLeavesNothing) {
  try {
    store.add_blob("content", media::model, digest_of("something else"));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code, Code::bad_request);
    EXPECT_THAT(error.message, testing::StartsWith("digest mismatch"));
  }
  EXPECT_EQ(files_below(store.options().root), 0U);
  { BlobWriter(store).write("dropped"); }
  EXPECT_EQ(files_below(store.options().root), 0U);
  // A damaged blob is replaced by the right bytes.
  write_file(store.blob_path(digest_of("content")), "cut");
  store.add_blob("content", media::model, digest_of("content"));
  EXPECT_EQ(store.read_blob(digest_of("content")), "content");
}

TEST_F(StoreTest, AFullDiskLeavesNothingBehind) {
  if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "no /dev/full here";
  // A file of limited size fails in the same way as a full disk, in the middle of a write.
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = ::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{1 << 16, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  EXPECT_THROW(store.add_blob(std::string(1 << 20, 'x'), media::model), Error);
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  ::signal(SIGXFSZ, handler);
  EXPECT_EQ(files_below(store.options().root), 0U);
}

TEST_F(StoreTest, ImportsAFile) {
  const std::string content(3 << 20, 'g');
  write_file(folder.path() / "model.gguf", content);
  const Layer layer = store.add_file(folder.path() / "model.gguf", media::model);
  EXPECT_EQ(layer.digest, digest_of(content));
  EXPECT_EQ(layer.size, content.size());
  EXPECT_THROW(store.add_file(folder.path() / "none", media::model), Error);
  EXPECT_THROW(store.add_file(folder.path(), media::model), Error);
  std::stop_source stop;
  stop.request_stop();
  EXPECT_THROW(store.add_file(folder.path() / "model.gguf", media::model, {}, stop.get_token()), Error);
  EXPECT_EQ(files_below(store.options().root), 1U);
}

TEST_F(StoreTest, NopruneKeepsSupersededLayers) {
  StoreOptions keeping = options();
  keeping.prune = false;
  Store other(keeping);
  install(other, "m", "v1");
  install(other, "m", "v2");
  EXPECT_TRUE(other.blob_size(digest_of("v1")));
  make_old(other.blob_path(digest_of("v1")), 10000);
  EXPECT_TRUE(other.prune().skipped);
  EXPECT_TRUE(other.blob_size(digest_of("v1")));
  other.remove(name_of("m"));
  EXPECT_FALSE(other.blob_size(digest_of("v2")));
}

TEST_F(StoreTest, AHoldKeepsBlobsFromBeingRemoved) {
  install(store, "m", "weights");
  {
    const BlobHold hold = store.hold({digest_of("weights"), digest_of("weights")});
    store.remove(name_of("m"));
    EXPECT_TRUE(store.blob_size(digest_of("weights")));
    make_old(store.blob_path(digest_of("weights")), 10000);
    store.prune();
    EXPECT_TRUE(store.blob_size(digest_of("weights")));
  }
  store.prune();
  EXPECT_FALSE(store.blob_size(digest_of("weights")));
}

TEST_F(StoreTest, SymbolicLinksAreFollowedAndStay) {
  install(store, "m", "weights");
  const auto elsewhere = folder.path() / "elsewhere";
  std::filesystem::rename(store.manifests_folder() / "registry.ollama.ai", elsewhere);
  std::filesystem::create_directory_symlink(elsewhere, store.manifests_folder() / "registry.ollama.ai");
  const auto target = folder.path() / "big.bin";
  write_file(target, "linked");
  std::filesystem::create_symlink(target, store.blob_path(digest_of("linked")));
  make_old(store.blob_path(digest_of("linked")), 10000);
  EXPECT_THAT(names(), testing::ElementsAre("m:latest"));
  store.prune();
  EXPECT_EQ(store.read_blob(digest_of("linked")), "linked");
  store.remove(name_of("m"));
  EXPECT_TRUE(std::filesystem::is_symlink(store.manifests_folder() / "registry.ollama.ai"));
  // A link in a circle ends by its depth.
  std::filesystem::create_directory_symlink(store.manifests_folder(), store.manifests_folder() / "loop");
  EXPECT_TRUE(names().empty());
}

TEST_F(StoreTest, AReadOnlyStoreCanBeRead) {
  install(store, "m", "weights");
  if (::geteuid() == 0) GTEST_SKIP() << "root writes everywhere";
  std::filesystem::permissions(store.blobs_folder(), std::filesystem::perms(0555));
  EXPECT_EQ(names().size(), 1U);
  EXPECT_THROW(store.add_blob("more", media::model), Error);
  std::filesystem::permissions(store.blobs_folder(), std::filesystem::perms(0755));
}

TEST_F(StoreTest, PruneTakesOnlyOldAndUnused) {
  install(store, "m", "weights");
  const auto blobs = store.blobs_folder();
  const std::string partial = digest_of("downloading").file_name() + "-partial";
  const std::string stale = digest_of("given up").file_name() + "-partial";
  for (const std::string& leaf :
       {std::string("junk"), std::string("sha256-1234"), digest_of("orphan").file_name(), stale, stale + "-0",
        partial, partial + "-0"}) {
    write_file(blobs / leaf, "12345");
    make_old(blobs / leaf, 4000);
  }
  write_file(blobs / (partial + "-1"), "young: the whole download is");
  write_file(blobs / digest_of("uploaded").file_name(), "uploaded");
  make_old(store.blob_path(digest_of("weights")), 100000);
  std::filesystem::create_directories(store.manifests_folder() / "h/n/empty");
  write_file(store.manifests_folder() / "registry.ollama.ai/library/m/.hearth-0123", "cut");
  make_old(store.manifests_folder() / "registry.ollama.ai/library/m/.hearth-0123", 4000);
  const PruneReport report = store.prune();
  EXPECT_FALSE(report.skipped);
  EXPECT_EQ(report.files, 6U);
  EXPECT_EQ(report.bytes, 25U);
  for (const std::string& leaf : {partial, partial + "-0", partial + "-1", digest_of("uploaded").file_name(),
                                  digest_of("weights").file_name()}) {
    EXPECT_TRUE(std::filesystem::exists(blobs / leaf)) << leaf;
  }
  EXPECT_EQ(files_below(blobs), 3U + 4U);
  EXPECT_FALSE(std::filesystem::exists(store.manifests_folder() / "h"));
  EXPECT_EQ(names().size(), 1U);
}

TEST_F(StoreTest, RenamesBlobsOfTheOldForm) {
  write_file(store.blobs_folder() / digest_of("old").text(), "old");
  store.prune();
  EXPECT_EQ(store.read_blob(digest_of("old")), "old");
}

TEST_F(StoreTest, SeveralThreadsWriteCopyAndRemove) {
  std::vector<std::thread> threads;
  std::atomic<int> done{0};
  Store quiet({folder.path() / "models", true, std::chrono::hours(1), {}});
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 15; ++i) {
        const std::string own = fmt::format("m{}", t), copy = fmt::format("c{}:x{}", t, i % 2);
        try {
          const BlobHold hold = quiet.hold({digest_of("common"), digest_of("Be brief.")});
          install(quiet, own, "common");
          quiet.copy(name_of(own), name_of(copy));
          quiet.remove(name_of(own));
          quiet.list();
          ++done;
        } catch (const Error& error) {
          // Another thread's remove() may take the configuration, which is not held, before it is in use.
          if (error.code != Code::not_found) ADD_FAILURE() << error.what();
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_GT(done, 0);
  test::expect_invariants(quiet);
}

}  // namespace
}  // namespace hearth
