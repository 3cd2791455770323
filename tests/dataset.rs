//! Data sets: pictures on their way in, what is said of them, and what is wrong with them.

use std::{fs, io::Cursor};

use image::{DynamicImage, ImageFormat, ImageReader, imageops::FilterType};
use serde_json::{Value, json};

use crate::house::{Engine, House, Person, nodes, on_each_engine, pictures, text};

on_each_engine!(
    pictures_come_in_pieces_and_are_shown_without_what_a_camera_adds,
    what_is_wrong_with_a_data_set_is_named,
    what_is_no_picture_is_rejected_and_leaves_nothing,
    files_that_cannot_be_are_refused_before_a_byte_is_sent,
);

const PICTURES: &str = "query ($id: ID!) { dataset(id: $id) { name pictureCount pictures(first: 50) { edges { node { \
                        id fileName caption width height url thumbnailUrl blurhash } } } } }";

async fn shown(house: &House, person: &Person, dataset: &str) -> Vec<Value> {
    let data = house.data_of(Some(&person.token), PICTURES, json!({ "id": dataset })).await;
    let shown = nodes(&data["dataset"]["pictures"]);
    assert_eq!(data["dataset"]["pictureCount"], shown.len());
    shown
}

async fn empty_dataset(house: &House, person: &Person) -> String {
    let payload = house.done(person, "createDataset", json!({ "name": "Foxes" }), "dataset { id }").await;
    text(&payload["dataset"]["id"])
}

fn encoded(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// A JPEG with a comment behind its first marker, as cameras write what they know.
fn commented(jpeg: &[u8], comment: &str) -> Vec<u8> {
    let length = u16::try_from(comment.len() + 2).unwrap().to_be_bytes();
    [&jpeg[..2], &[0xff, 0xfe], &length, comment.as_bytes(), &jpeg[2..]].concat()
}

/// Sends bytes from an offset on; gives the status and how much is here then.
async fn put(house: &House, url: &str, offset: usize, bytes: &[u8]) -> (u16, Option<usize>) {
    let request = house.http().put(url).header("upload-offset", offset.to_string()).body(bytes.to_vec());
    let response = request.send().await.unwrap();
    let received = response.headers().get("upload-offset").map(|value| value.to_str().unwrap().parse().unwrap());
    (response.status().as_u16(), received)
}

async fn pictures_come_in_pieces_and_are_shown_without_what_a_camera_adds(engine: Engine) {
    let house = House::open(engine).await;
    let ada = house.person("ada").await;
    let dataset = empty_dataset(&house, &ada).await;
    let file = commented(&fs::read(&pictures()[0]).unwrap(), "taken at 12 Secret Lane");
    let announced = json!({
        "purpose": "DATASET_PICTURE", "fileName": "a-balloon_above-the-hills.jpg", "size": file.len(), "targetId": dataset,
    });
    let fields = "upload { id url state }";
    let upload = house.done(&ada, "createUpload", announced, fields).await["upload"].clone();
    let (url, half, size) = (text(&upload["url"]), file.len() / 2, file.len());

    assert_eq!(put(&house, &url, 0, &file[..half]).await, (200, Some(half)));
    let head = house.http().head(&url).send().await.unwrap();
    assert_eq!(head.headers()["upload-offset"].to_str().unwrap(), half.to_string());
    assert_eq!(head.headers()["upload-length"].to_str().unwrap(), size.to_string());
    assert_eq!(put(&house, &url, half + 1, &file[half + 1..]).await, (409, Some(half)), "a gap is refused");
    assert_eq!(put(&house, &url, 0, &file[..half]).await, (409, Some(half)), "nor is anything written over");
    assert!(shown(&house, &ada, &dataset).await.is_empty(), "half a picture is none");
    let last = house.http().put(&url).header("content-range", format!("bytes {half}-{}/{size}", size - 1));
    let last = last.body(file[half..].to_vec()).send().await.unwrap();
    assert_eq!((last.status().as_u16(), last.json::<Value>().await.unwrap()["complete"].clone()), (200, json!(true)));
    assert_eq!(put(&house, &url, size, &[]).await, (200, Some(size)), "the end may come twice");

    let picture = shown(&house, &ada, &dataset).await.remove(0);
    assert_eq!((&picture["width"], &picture["height"]), (&json!(432), &json!(432)));
    assert_eq!(picture["caption"], "a balloon above the hills");
    assert!(text(&picture["blurhash"]).len() > 10);
    let served = house.http().get(text(&picture["url"])).send().await.unwrap();
    assert_eq!(served.headers()["content-type"], "image/png");
    assert_eq!(served.headers()["x-content-type-options"], "nosniff");
    let png = served.bytes().await.unwrap();
    assert!(!png.windows(11).any(|window| window == b"Secret Lane"), "what the camera wrote is gone");
    let original = image::load_from_memory(&file).unwrap().to_rgb8();
    assert!(image::load_from_memory(&png).unwrap().to_rgb8() == original, "every pixel is as it was");
    let small = house.http().get(text(&picture["thumbnailUrl"])).send().await.unwrap().bytes().await.unwrap();
    let small = ImageReader::new(Cursor::new(small)).with_guessed_format().unwrap();
    assert_eq!((small.format(), small.into_dimensions().unwrap()), (Some(ImageFormat::WebP), (256, 256)));

    captions_are_written_and_things_deleted(&house, &ada, &dataset, &text(&picture["id"])).await;
    house.close().await;
}

async fn captions_are_written_and_things_deleted(house: &House, ada: &Person, dataset: &str, picture: &str) {
    let captions = |of: &str, caption: &str| json!({ "datasetId": dataset, "captions": [{ "pictureId": of, "caption": caption }] });
    house.done(ada, "setCaptions", captions(picture, "  a red balloon "), "dataset { id }").await;
    assert_eq!(shown(house, ada, dataset).await[0]["caption"], "a red balloon");
    let long = captions(picture, &"c".repeat(1_001));
    assert_eq!(house.user_error(ada, "setCaptions", long, "dataset { id }").await, "TOO_LONG");
    let none = json!({ "datasetId": dataset, "captions": [] });
    assert_eq!(house.user_error(ada, "setCaptions", none, "dataset { id }").await, "REQUIRED");
    let other = empty_dataset(house, ada).await;
    let elsewhere = json!({ "datasetId": other, "captions": [{ "pictureId": picture, "caption": "x" }] });
    assert_eq!(house.refused(ada, "setCaptions", elsewhere).await, "NOT_FOUND", "a picture is of one data set");

    house.done(ada, "removePicture", json!({ "id": picture }), "dataset { id }").await;
    assert!(shown(house, ada, dataset).await.is_empty());
    house.done(ada, "deleteDataset", json!({ "id": dataset }), "dataset { deletedAt }").await;
    assert_eq!(house.refusal(Some(&ada.token), PICTURES, json!({ "id": dataset })).await, "NOT_FOUND");
    let list = "{ datasets(first: 10) { edges { node { id } } } }";
    let left = nodes(&house.data_of(Some(&ada.token), list, json!({})).await["datasets"]);
    assert_eq!(left, [json!({ "id": other })]);
}

async fn what_is_wrong_with_a_data_set_is_named(engine: Engine) {
    let house = House::open(engine).await;
    let ada = house.person("ada").await;
    let dataset = house.dataset(&ada, "Foxes", 3).await;
    let lint = "query ($id: ID!) { dataset(id: $id) { lint { code fileName message other { fileName } } } }";
    let id = json!({ "id": dataset });
    let none = house.data_of(Some(&ada.token), lint, id.clone()).await;
    assert_eq!(none["dataset"]["lint"], json!([]), "the pictures that ship with the house are good ones");

    let originals: Vec<_> = pictures();
    let (first, fourth, fifth) =
        (image::open(&originals[0]).unwrap(), image::open(&originals[3]).unwrap(), image::open(&originals[4]).unwrap());
    let blurred = fourth.resize_exact(12, 12, FilterType::Triangle).resize_exact(432, 432, FilterType::Triangle);
    let files = [
        ("again.webp", encoded(&first.resize_exact(300, 300, FilterType::Triangle), ImageFormat::WebP)),
        ("small.png", encoded(&fifth.resize_exact(24, 24, FilterType::Triangle), ImageFormat::Png)),
        ("blurred.png", encoded(&blurred, ImageFormat::Png)),
        ("notes.png", b"These are notes and no picture.".to_vec()),
    ];
    for (name, bytes) in &files {
        house.upload(&ada, "DATASET_PICTURE", Some(&dataset), name, bytes).await;
    }
    let data = house.data_of(Some(&ada.token), lint, id).await;
    let findings = data["dataset"]["lint"].as_array().unwrap();
    let found: Vec<_> = findings.iter().map(|finding| (text(&finding["fileName"]), text(&finding["code"]))).collect();
    for (name, code) in [
        ("again.webp", "NEAR_DUPLICATE"),
        ("small.png", "TOO_SMALL"),
        ("blurred.png", "BLURRED"),
        ("notes.png", "UNREADABLE"),
    ] {
        assert!(found.contains(&(name.to_owned(), code.to_owned())), "{name} is {code}: {findings:?}");
    }
    let first = originals[0].file_name().unwrap().to_str().unwrap();
    let duplicate = findings.iter().find(|finding| finding["code"] == "NEAR_DUPLICATE").unwrap();
    assert_eq!(duplicate["other"]["fileName"], first);
    let message = text(&duplicate["message"]);
    assert!(message.contains("again.webp") && message.contains(first), "{message}");
    let blamed = |name: &str| originals[..3].iter().any(|file| file.ends_with(name));
    assert!(!found.iter().any(|(name, _)| blamed(name)), "the good ones are not blamed: {findings:?}");
    house.close().await;
}

/// A PNG that claims an edge of 60,000 pixels, in a few bytes.
fn bomb() -> Vec<u8> {
    let mut header = b"IHDR".to_vec();
    header.extend_from_slice(&60_000_u32.to_be_bytes().repeat(2));
    header.extend_from_slice(&[8, 2, 0, 0, 0]);
    let sum = header.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| if sum & 1 == 1 { sum >> 1 ^ 0xedb8_8320 } else { sum >> 1 })
    });
    [b"\x89PNG\r\n\x1a\n\0\0\0\x0d", &header[..], &(!sum).to_be_bytes()].concat()
}

async fn what_is_no_picture_is_rejected_and_leaves_nothing(engine: Engine) {
    let house = House::open(engine).await;
    let ada = house.person("ada").await;
    let dataset = empty_dataset(&house, &ada).await;
    let jpeg = fs::read(&pictures()[0]).unwrap();
    let files = [
        ("half.jpg", jpeg[..jpeg.len() / 2].to_vec()),
        ("text.png", b"These are notes and no picture.".to_vec()),
        ("drawing.svg", b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>".to_vec()),
        ("moving.gif", b"GIF89a\x01\0\x01\0\0\0\0;".to_vec()),
        ("bomb.png", bomb()),
        ("page.jpg", [b"<html>".to_vec(), jpeg].concat()),
    ];
    let query = "query ($id: ID!) { upload(id: $id) { state reason url facts } }";
    for (name, bytes) in &files {
        let upload = house.upload(&ada, "DATASET_PICTURE", Some(&dataset), name, bytes).await;
        let upload = house.data_of(Some(&ada.token), query, json!({ "id": upload })).await["upload"].clone();
        assert_eq!(
            (&upload["state"], &upload["url"], &upload["facts"]),
            (&json!("REJECTED"), &Value::Null, &Value::Null)
        );
        let reason = text(&upload["reason"]);
        assert!(reason.len() > 20 && reason.ends_with('.'), "{name}: {reason}");
    }
    assert!(shown(&house, &ada, &dataset).await.is_empty());
    let files_in = |folder: &str| {
        let mut folders = vec![house.data().join(folder)];
        let mut files = 0;
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten() {
                let entry = entry.unwrap();
                if entry.file_type().unwrap().is_dir() { folders.push(entry.path()) } else { files += 1 }
            }
        }
        files
    };
    assert_eq!((files_in("uploads"), files_in("blobs")), (0, 0), "neither what came nor a piece of it is kept");
    house.upload(&ada, "DATASET_PICTURE", Some(&dataset), "fox.jpg", &fs::read(&pictures()[1]).unwrap()).await;
    assert_eq!((files_in("uploads"), files_in("blobs")), (0, 2), "a picture and its thumbnail");
    house.close().await;
}

async fn files_that_cannot_be_are_refused_before_a_byte_is_sent(engine: Engine) {
    let house = House::open(engine).await;
    let ada = house.person("ada").await;
    let dataset = empty_dataset(&house, &ada).await;
    let with = |changes: Value| {
        let mut input =
            json!({ "purpose": "DATASET_PICTURE", "fileName": "fox.png", "size": 100, "targetId": dataset });
        input.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        input
    };
    for (changes, code) in [
        (json!({ "size": 0 }), "EMPTY"),
        (json!({ "size": -1 }), "EMPTY"),
        (json!({ "size": (64 << 20) + 1 }), "TOO_LARGE"),
        (json!({ "purpose": "LORA_FILE", "targetId": null, "size": (4_i64 << 30) + 1 }), "TOO_LARGE"),
        (json!({ "targetId": null }), "TARGET_NEEDED"),
        (json!({ "fileName": "" }), "REQUIRED"),
        (json!({ "fileName": "f".repeat(256) }), "TOO_LONG"),
        (json!({ "fileName": "../.." }), "BAD_FILE_NAME"),
        (json!({ "fileName": "fox\u{0}.png" }), "CONTROL_CHARACTER"),
    ] {
        assert_eq!(house.user_error(&ada, "createUpload", with(changes), "upload { id }").await, code);
    }
    let lora = house.done(&ada, "createLora", json!({ "name": "Ink" }), "lora { id }").await["lora"]["id"].clone();
    for target in [lora, json!(ada.team), json!("dataset_00000000000000000000000000")] {
        assert_eq!(house.refused(&ada, "createUpload", with(json!({ "targetId": target }))).await, "NOT_FOUND");
    }

    let path = json!({ "fileName": "C:\\pictures\\..\\.hidden<fox>.png" });
    let upload = house.done(&ada, "createUpload", with(path), "upload { id fileName url }").await["upload"].clone();
    assert_eq!(upload["fileName"], "hiddenfox.png", "a name and no path");
    let url = text(&upload["url"]);
    assert_eq!(put(&house, &url, 0, &[0; 101]).await.0, 413, "more than was announced");
    let (base, query) = url.split_once('?').unwrap();
    for forged in [
        base.to_owned(),
        format!("{base}?{}", query.replace("expires=1", "expires=2")),
        format!("{base}?{}", query.replace("signature=", "signature=A")),
        url.replace("/uploads/upload_", "/uploads/dataset_"),
    ] {
        assert_eq!(put(&house, &forged, 0, &[0; 10]).await.0, 404, "{forged}");
    }
    // A picture is no LoRA, and a LoRA of which bytes are missing is not imported.
    let import = json!({ "uploadId": upload["id"] });
    assert_eq!(house.user_error(&ada, "importLora", import, "version { id }").await, "NOT_A_LORA");
    let announced = with(json!({ "purpose": "LORA_FILE", "targetId": null, "fileName": "ink.safetensors" }));
    let upload = house.done(&ada, "createUpload", announced, "upload { id }").await["upload"]["id"].clone();
    let import = json!({ "uploadId": upload });
    assert_eq!(house.user_error(&ada, "importLora", import, "version { id }").await, "NOT_RECEIVED");
    house.close().await;
}
