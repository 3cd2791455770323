//! Names of tensors in an SDXL folder's files, where they are not those of the modules' fields.

/// A UNet's name: the feed-forward part is a list in the files, of which the second is a dropout without weights.
pub fn unet(name: &str) -> String {
    name.replace(".ff.net.0.proj.", ".ff.proj.").replace(".ff.net.2.", ".ff.out.")
}

/// A text encoder's name: older files put `text_model.` before it, and a table of positions beside the weights.
pub fn text_encoder(name: &str) -> Option<String> {
    let name = name.strip_prefix("text_model.").unwrap_or(name);
    (name != "embeddings.position_ids").then(|| name.to_owned())
}

/// An autoencoder's name: older files name the middle's projections differently.
pub fn autoencoder(name: &str) -> String {
    let Some((before, after)) = name.split_once(".mid_block.attentions.0.") else { return name.to_owned() };
    let renamed = [("query.", "to_q."), ("key.", "to_k."), ("value.", "to_v."), ("proj_attn.", "to_out.0.")];
    let after = renamed
        .iter()
        .find_map(|(old, new)| after.strip_prefix(old).map(|rest| format!("{new}{rest}")))
        .unwrap_or_else(|| after.to_owned());
    format!("{before}.mid_block.attentions.0.{after}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_become_those_of_the_fields() {
        let name = "mid_block.attentions.0.transformer_blocks.0.ff.net";
        assert_eq!(unet(&format!("{name}.0.proj.weight")), name.replace("net", "proj.weight"));
        assert_eq!(unet(&format!("{name}.2.bias")), name.replace("net", "out.bias"));
        assert_eq!(text_encoder("text_model.final_layer_norm.bias").as_deref(), Some("final_layer_norm.bias"));
        assert_eq!(text_encoder("text_projection.weight").as_deref(), Some("text_projection.weight"));
        assert_eq!(text_encoder("text_model.embeddings.position_ids"), None);
        assert_eq!(
            autoencoder("encoder.mid_block.attentions.0.proj_attn.bias"),
            "encoder.mid_block.attentions.0.to_out.0.bias"
        );
        assert_eq!(autoencoder("decoder.conv_in.weight"), "decoder.conv_in.weight");
    }
}
