//! `atelier models`: base models from a hub, checked and taken out again. The program is run as an administrator runs it,
//! against a hub of our own.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Output, Stdio},
    time::Duration,
};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

use crate::{
    house::{Engine, House, on_each_engine},
    hub::{COMMIT, Fault, Hub, REPOSITORY, TOKEN},
};

on_each_engine!(a_model_goes_as_it_came, what_was_made_with_a_model_keeps_it_known);

/// The largest file of the repository.
const TRANSFORMER: &str = "transformer/diffusion_pytorch_model.safetensors";

/// A data folder, and the program beside it.
struct Installation {
    data: TempDir,
    database_url: Option<String>,
}

/// How the program ended.
pub struct Ended {
    is_well: bool,
    output: String,
    /// Standard output and standard error.
    text: String,
}

impl Installation {
    fn new() -> Self {
        Self { data: tempfile::tempdir().unwrap(), database_url: None }
    }

    fn path(&self) -> &Path {
        self.data.path()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        command(self.path(), self.database_url.as_deref(), arguments)
    }

    async fn run(&self, arguments: &[&str]) -> Ended {
        Ended::of(self.command(arguments).output().await.unwrap())
    }

    /// Downloads the repository of a hub.
    async fn pull(&self, hub: &Hub, arguments: &[&str]) -> Ended {
        let all = [&["pull", REPOSITORY, "--endpoint", &hub.endpoint], arguments].concat();
        self.run(&all).await
    }

    /// The base models as `list --json` says.
    async fn list(&self) -> Value {
        let listed = self.run(&["list", "--json"]).await;
        assert!(listed.is_well, "{}", listed.text);
        serde_json::from_str(&listed.output).unwrap()
    }

    /// Where the model is downloaded to.
    fn folder(&self) -> PathBuf {
        pulled_folder(self.path())
    }
}

impl Ended {
    /// What it left.
    pub fn of(output: Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (out, error) = (text(&output.stdout), text(&output.stderr));
        Self { is_well: output.status.success(), text: out.clone() + &error, output: out }
    }

    /// What it said, having done what it was asked.
    pub fn well(self) -> String {
        assert!(self.is_well, "{}", self.text);
        self.text
    }

    /// What it said, having refused.
    pub fn refused(self) -> String {
        assert!(!self.is_well, "{}", self.text);
        self.text
    }
}

/// `atelier models` with these arguments, for a data folder.
pub fn command(data: &Path, database_url: Option<&str>, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_atelier"));
    command.arg("models").args(arguments).arg("--data").arg(data).args(["--log", "warn"]);
    if let Some(url) = database_url {
        command.args(["--database-url", url]);
    }
    command.env_remove("HF_TOKEN").env_remove("HF_ENDPOINT").stdin(Stdio::null()).kill_on_drop(true);
    command
}

fn pulled_folder(data: &Path) -> PathBuf {
    data.join("models/ada--tiny-klein").join(COMMIT)
}

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/parity/klein/model")
}

/// Every file below a folder, without those that only a download needs.
fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => found.push(path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned()),
            }
        }
    }
    found.retain(|file| !file.starts_with(".atelier"));
    found.sort();
    found
}

fn flip(file: &Path) {
    let mut bytes = fs::read(file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(file, bytes).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_becomes_a_base_model() {
    let (hub, here) = (Hub::open(&fixture()).await, Installation::new());
    let said = here.pull(&hub, &[]).await.well();
    assert!(said.contains("licence apache-2.0") && said.contains("`tiny-klein` is a base model now"), "{said}");

    let mut expected = files(&fixture());
    expected.extend(["LICENSE.md".to_owned(), "README.md".to_owned()]);
    expected.sort();
    assert_eq!(files(&here.folder()), expected, "what a folder needs, and nothing else");
    for file in files(&fixture()) {
        assert_eq!(fs::read(here.folder().join(&file)).unwrap(), fs::read(fixture().join(&file)).unwrap(), "{file}");
    }

    let listed = here.list().await;
    let model = &listed[0];
    assert_eq!((&model["name"], &model["license"]), (&json!("tiny-klein"), &json!("apache-2.0")));
    assert_eq!((&model["state"], &model["title"]), (&json!("offered"), &json!("tiny-klein")));
    let source = json!({ "kind": "pulled", "endpoint": hub.endpoint, "repository": REPOSITORY, "commit": COMMIT });
    assert_eq!(model["source"], source);
    let line = here.run(&["list"]).await.well();
    assert!(line.contains("licence apache-2.0, from ada/tiny-klein at 0123456789ab"), "{line}");
    assert!(here.run(&["verify", "tiny-klein"]).await.well().contains("is whole"));
    assert!(here.run(&["verify", model["id"].as_str().unwrap()]).await.well().contains("is whole"));

    hub.asked();
    here.pull(&hub, &[]).await.well();
    let again: Vec<String> = hub.asked().into_iter().map(|asked| asked.path).collect();
    assert_eq!(again, Vec::<String>::new(), "what is there is not downloaded again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_goes_on_where_it_stopped() {
    let (hub, here) = (Hub::open(&fixture()).await, Installation::new());
    let size = hub.shelf().files[TRANSFORMER].len();
    hub.shelf().faults.insert(TRANSFORMER.into(), Fault::Stall);
    let child = here
        .command(&["pull", REPOSITORY, "--endpoint", &hub.endpoint])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let partial = here.folder().join(format!("{TRANSFORMER}.partial"));
    let arrived = async || {
        // A little of it waits in the program's buffer.
        while fs::metadata(&partial).map_or(0, |file| file.len()) < size as u64 / 3 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), arrived()).await.expect("half of the file comes");
    let interrupt = format!("kill -INT {}", child.id().unwrap());
    assert!(Command::new("sh").args(["-c", &interrupt]).status().await.unwrap().success());
    let said = Ended::of(child.wait_with_output().await.unwrap()).refused();
    assert!(said.contains("Give the same command again"), "{said}");
    assert_eq!(here.list().await, json!([]), "half a model is none");

    let there = fs::metadata(&partial).unwrap().len();
    hub.asked();
    here.pull(&hub, &[]).await.well();
    let asked: Vec<_> = hub.asked().into_iter().filter(|asked| asked.path == TRANSFORMER && asked.elsewhere).collect();
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert_eq!(asked[0].range, Some(format!("bytes={there}-")), "the rest only");
    assert!(asked[0].if_range.as_ref().is_some_and(|etag| etag.starts_with('"')), "of the same version only");
    assert!(here.run(&["verify", "tiny-klein"]).await.well().contains("is whole"));
    assert!(files(&here.folder()).iter().all(|file| !file.contains(".partial")), "{:?}", files(&here.folder()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_of_another_version_is_not_gone_on_with() {
    let (hub, here) = (Hub::open(&fixture()).await, Installation::new());
    let partial = here.folder().join(format!("{TRANSFORMER}.partial"));
    fs::create_dir_all(partial.parent().unwrap()).unwrap();
    fs::write(&partial, [7; 1000]).unwrap();
    fs::write(partial.with_extension("partial.etag"), "\"another\"").unwrap();
    let said = here.pull(&hub, &[]).await.well();
    assert!(said.contains("from its beginning"), "{said}");
    let asked: Vec<_> = hub.asked().into_iter().filter(|asked| asked.path == TRANSFORMER && asked.elsewhere).collect();
    assert_eq!(asked[0].if_range.as_deref(), Some("\"another\""), "{asked:?}");
    assert!(here.run(&["verify", "tiny-klein"]).await.well().contains("is whole"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_breaks_is_made_again() {
    let (hub, here) = (Hub::open(&fixture()).await, Installation::new());
    hub.shelf().faults.insert("vae/config.json".into(), Fault::Unavailable);
    hub.shelf().faults.insert("vae/diffusion_pytorch_model.safetensors".into(), Fault::Unavailable);
    hub.shelf().faults.insert(TRANSFORMER.into(), Fault::Break);
    let said = here.pull(&hub, &[]).await.well();
    assert_eq!(said.matches("Trying again").count(), 3, "{said}");
    assert!(!said.contains("signature"), "links of file servers are secrets: {said}");
    let asked: Vec<_> = hub.asked().into_iter().filter(|asked| asked.path == TRANSFORMER && asked.elsewhere).collect();
    let ranges: Vec<bool> = asked.iter().map(|asked| asked.range.is_some()).collect();
    assert_eq!(ranges, [false, true], "{asked:?}");
    assert!(here.run(&["verify", "tiny-klein"]).await.well().contains("is whole"));
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_not_those_listed_are_refused() {
    for file in [TRANSFORMER, "tokenizer/tokenizer.json"] {
        let (hub, here) = (Hub::open(&fixture()).await, Installation::new());
        hub.shelf().faults.insert(file.into(), Fault::Flip);
        let said = here.pull(&hub, &[]).await.refused();
        assert!(said.contains(file) && said.contains("is not what the hub lists"), "{said}");
        assert_eq!(here.list().await, json!([]));
        assert!(files(&here.folder()).iter().all(|there| !there.starts_with(file)), "nothing of it is left");

        hub.shelf().faults.clear();
        here.pull(&hub, &[]).await.well();
        assert!(here.run(&["verify", "tiny-klein"]).await.well().contains("is whole"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gated_repository_wants_a_token_and_nobody_else_sees_it() {
    let (hub, here) = (Hub::open(&fixture()).await, Installation::new());
    hub.shelf().is_gated = true;
    let said = here.pull(&hub, &[]).await.refused();
    let page = format!("Accept them on {}/{REPOSITORY}", hub.endpoint);
    assert!(said.contains(&page) && said.contains("--token"), "{said}");
    let said = here.pull(&hub, &["--token", "hf_wrong"]).await.refused();
    assert!(said.contains("the account of this token has not"), "{said}");
    assert_eq!(here.list().await, json!([]));

    hub.asked();
    let said = here.pull(&hub, &["--token", TOKEN]).await.well();
    assert!(!said.contains(TOKEN), "{said}");
    let asked = hub.asked();
    assert!(asked.iter().any(|asked| asked.elsewhere));
    for asked in asked {
        let expected = (!asked.elsewhere).then(|| format!("Bearer {TOKEN}"));
        assert_eq!(asked.authorization, expected, "{}", asked.path);
    }
    let kept = fs::read_to_string(here.folder().join(".atelier-model.json")).unwrap();
    assert!(!kept.contains(TOKEN));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_or_not_read_is_said() {
    let (hub, here) = (Hub::open(&fixture()).await, Installation::new());
    let said = here.run(&["pull", "ada/nothing", "--endpoint", &hub.endpoint]).await.refused();
    assert!(said.contains("There is no model ada/nothing"), "{said}");
    let said = here.pull(&hub, &["--revision", "refs/pr/1"]).await.refused();
    assert!(said.contains("--revision"), "{said}");
    let said = here.pull(&hub, &["--name", "starter"]).await.refused();
    assert!(said.contains("--name"), "{said}");

    let index = hub.shelf().files.remove("model_index.json").unwrap();
    assert!(here.pull(&hub, &[]).await.refused().contains("diffusers layout"));
    let other = String::from_utf8(index.clone()).unwrap().replace("Flux2KleinPipeline", "PaintingPipeline");
    hub.shelf().files.insert("model_index.json".into(), other.into_bytes());
    hub.asked();
    let said = here.pull(&hub, &[]).await.refused();
    assert!(said.contains("PaintingPipeline") && said.contains("weights were not downloaded"), "{said}");
    assert!(hub.asked().iter().all(|asked| !asked.elsewhere));

    hub.shelf().files.insert("model_index.json".into(), index);
    let weights = hub.shelf().files.remove(TRANSFORMER).unwrap();
    hub.shelf().files.insert(TRANSFORMER.replace(".safe", ".fp8.safe"), weights.clone());
    let said = here.pull(&hub, &[]).await.refused();
    assert!(said.contains("in fp16 or bf16"), "{said}");
    assert_eq!(here.list().await, json!([]));
    hub.shelf().files.insert(TRANSFORMER.replace(".safe", ".fp16.safe"), weights);
    here.pull(&hub, &[]).await.well();
    assert_eq!(here.list().await.as_array().unwrap().len(), 1, "half precision is taken where there is nothing else");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_file_leads_out_of_the_folder() {
    for path in ["../../evil.json", "/tmp/evil.json", "unet\\..\\evil.json"] {
        let (hub, here) = (Hub::open(&fixture()).await, Installation::new());
        hub.shelf().listed_too = vec![path.to_owned()];
        let said = here.pull(&hub, &[]).await.refused();
        assert!(said.contains("does not lie in its folder"), "{said}");
        assert_eq!(hub.asked(), [], "nothing is downloaded");
        assert!(!here.folder().exists());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_licence_that_may_forbid_things_is_accepted_first() {
    let (hub, here) = (Hub::open(&fixture()).await, Installation::new());
    hub.shelf().card = json!({
        "license": "other", "license_name": "tiny-non-commercial-license", "license_link": "LICENSE.md",
    });
    let said = here.pull(&hub, &[]).await.refused();
    let link = format!("{}/{REPOSITORY}/blob/{COMMIT}/LICENSE.md", hub.endpoint);
    for part in ["tiny-non-commercial-license", "forbids commercial use", &link, "--accept-license"] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
    assert_eq!(hub.asked(), [], "nothing is downloaded before");

    here.pull(&hub, &["--accept-license", "--name", "tiny", "--title", "Tiny"]).await.well();
    let model = &here.list().await[0];
    assert_eq!(model["license"], json!(format!("tiny-non-commercial-license ({link})")));
    assert_eq!((&model["name"], &model["title"]), (&json!("tiny"), &json!("Tiny")));
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_is_found_and_mended() {
    let (hub, here) = (Hub::open(&fixture()).await, Installation::new());
    here.pull(&hub, &[]).await.well();
    flip(&here.folder().join(TRANSFORMER));
    let report = here.run(&["verify", "tiny-klein", "--json"]).await;
    assert!(!report.is_well, "{}", report.text);
    let report: Value = serde_json::from_str(&report.output).unwrap();
    assert_eq!((&report["ok"], &report["problems"][0]["file"]), (&json!(false), &json!(TRANSFORMER)));
    let said = here.run(&["verify", "tiny-klein"]).await.refused();
    assert!(said.contains(&format!("{TRANSFORMER}: Its SHA-256 is")), "{said}");

    fs::remove_file(here.folder().join("vae/config.json")).unwrap();
    let said = here.run(&["verify", "tiny-klein"]).await.refused();
    assert!(said.contains("vae/config.json: It is missing"), "{said}");

    hub.asked();
    here.pull(&hub, &[]).await.well();
    let asked: Vec<String> = hub.asked().into_iter().filter(|asked| !asked.elsewhere).map(|asked| asked.path).collect();
    assert_eq!(asked, ["vae/config.json", TRANSFORMER], "what is damaged, and nothing else");
    assert!(here.run(&["verify", "tiny-klein"]).await.well().contains("is whole"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_was_added_is_looked_at() {
    let here = Installation::new();
    let own = tempfile::tempdir().unwrap();
    for file in files(&fixture()) {
        fs::create_dir_all(own.path().join(&file).parent().unwrap()).unwrap();
        fs::copy(fixture().join(&file), own.path().join(&file)).unwrap();
    }
    here.run(&["add", own.path().to_str().unwrap(), "--name", "own"]).await.well();
    assert!(here.run(&["verify", "own"]).await.well().contains("no manifest"));

    let transformer = own.path().join(TRANSFORMER);
    let bytes = fs::read(&transformer).unwrap();
    fs::write(&transformer, &bytes[..bytes.len() - 1]).unwrap();
    let said = here.run(&["verify", "own"]).await.refused();
    assert!(said.contains(&format!("{TRANSFORMER}: This is no intact safetensors file")), "{said}");
    fs::remove_file(&transformer).unwrap();
    assert!(here.run(&["verify", "own"]).await.refused().contains("transformer: "));
    fs::write(own.path().join("vae/config.json"), "{").unwrap();
    assert!(here.run(&["verify", "own"]).await.refused().contains("vae/config.json"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_in_one_file_that_is_refused_leaves_nothing_behind() {
    let here = Installation::new();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../inference/tests/fixtures/single-file/klein.safetensors");
    let (file, like) = (file.to_str().unwrap().to_owned(), fixture().to_str().unwrap().to_owned());
    let add = async |more: &[&str]| here.run(&[&["add", &file, "--like", &like], more].concat()).await;
    let long = "x".repeat(121);
    for refused in [&["--name", "../x"][..], &["--name", &long], &["--name", "X"], &["--name", "x", "--title", &long]] {
        let said = add(refused).await.refused();
        assert!(said.contains("name") || said.contains("title"), "{said}");
        let left: Vec<String> = files(here.path()).into_iter().filter(|file| file.ends_with(".safetensors")).collect();
        assert!(left.is_empty(), "{refused:?} leaves {left:?}");
    }
    assert!(here.run(&["add", &like, "--name", "a b"]).await.refused().contains("is no name"), "of a folder as well");
    add(&["--name", "x"]).await.well();
    assert!(here.path().join("models/x").join(TRANSFORMER).exists());
}

async fn a_model_goes_as_it_came(engine: Engine) {
    let hub = Hub::open(&fixture()).await;
    let house = House::open(engine).await;
    let data = house.data();
    let run = async |arguments: &[&str]| {
        Ended::of(command(&data, Some(&house.database_url), arguments).output().await.unwrap())
    };
    run(&["pull", REPOSITORY, "--endpoint", &hub.endpoint, "--default"]).await.well();
    run(&["add", fixture().to_str().unwrap(), "--name", "own"]).await.well();
    let names = async || {
        let models = house.data_of(None, "{ baseModels { name } }", json!({})).await["baseModels"].clone();
        models.as_array().unwrap().iter().map(|model| model["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names().await, ["tiny-klein", "own", "starter"]);

    assert!(run(&["remove", "nobody"]).await.refused().contains("atelier models list"));
    assert!(run(&["remove", "starter"]).await.refused().contains("ships with Atelier"));
    assert!(run(&["remove", "tiny-klein", "--files"]).await.refused().contains("atelier models default"));
    assert!(run(&["remove", "own", "--files"]).await.refused().contains("added by its path"));
    run(&["remove", "own"]).await.well();
    assert!(fixture().join("model_index.json").exists());

    run(&["default", "starter"]).await.well();
    assert_eq!(names().await, ["starter", "tiny-klein"]);
    assert!(pulled_folder(&data).exists());
    run(&["remove", "tiny-klein", "--files"]).await.well();
    assert!(!data.join("models/ada--tiny-klein").exists());
    assert_eq!(names().await, ["starter"]);
    house.close().await;
}

async fn what_was_made_with_a_model_keeps_it_known(engine: Engine) {
    let hub = Hub::open(&fixture()).await;
    let house = House::open(engine).await;
    let ada = house.person("ada").await;
    let data = house.data();
    let run = async |arguments: &[&str]| {
        Ended::of(command(&data, Some(&house.database_url), arguments).output().await.unwrap())
    };
    run(&["pull", REPOSITORY, "--endpoint", &hub.endpoint]).await.well();
    let models = house.data_of(None, "{ baseModels { id name } }", json!({})).await["baseModels"].clone();
    let model = models.as_array().unwrap().iter().find(|model| model["name"] == "tiny-klein").unwrap()["id"].clone();
    // Nobody works here: the job waits.
    let input = json!({ "prompt": "a red fox", "baseModelId": model, "count": 1 });
    let fields = "generation { id job { id } }";
    let generation = house.done(&ada, "generatePictures", input.clone(), fields).await["generation"].clone();

    assert!(run(&["remove", "tiny-klein", "--files"]).await.refused().contains("Jobs that need the files"));
    let said = run(&["remove", "tiny-klein"]).await.well();
    assert!(said.contains("not offered any more") && said.contains("1 generations"), "{said}");
    assert!(run(&["list"]).await.well().contains("not offered any more"));
    assert_eq!(house.user_error(&ada, "generatePictures", input, fields).await, "BASE_MODEL_DISABLED");
    assert!(run(&["default", "tiny-klein"]).await.refused().contains("no longer offered"));

    house.done(&ada, "cancelJob", json!({ "id": generation["job"]["id"] }), "job { id }").await;
    assert!(run(&["remove", "tiny-klein", "--files"]).await.well().contains("is deleted"));
    let query = "query ($id: ID!) { generation(id: $id) { baseModel { name } } }";
    let kept = house.data_of(Some(&ada.token), query, json!({ "id": generation["id"] })).await;
    assert_eq!(kept["generation"]["baseModel"]["name"], "tiny-klein");

    run(&["pull", REPOSITORY, "--endpoint", &hub.endpoint]).await.well();
    let models = house.data_of(None, "{ baseModels { id name } }", json!({})).await["baseModels"].clone();
    assert!(models.as_array().unwrap().iter().any(|offered| offered["id"] == model), "it is back, and the same");
    house.close().await;
}
