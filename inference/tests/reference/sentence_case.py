#!/usr/bin/env python3
"""Write a small sentence encoder and what the reference implementation makes of texts.

    python sentence_case.py OUT [--seed N] [--hidden N] [--layers N] [--heads N] [--cls]

OUT becomes a folder with config.json, model.safetensors, tokenizer.json, 1_Pooling/config.json and expected.json. Needs torch,
transformers and tokenizers.
"""
import argparse, json, os

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import BertConfig, BertModel

TEXTS = ["", "a red fox", "advertising photography of the nineteen seventies", "Ink wash, moody", "Crème brûlée at dusk",
         "浮世絵", "🦊", "word " * 60, "A RED FOX", "kettles; kettles? kettles!"]

p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
p.add_argument("out"); p.add_argument("--seed", type=int, default=1); p.add_argument("--hidden", type=int, default=32)
p.add_argument("--layers", type=int, default=2); p.add_argument("--heads", type=int, default=4); p.add_argument("--cls", action="store_true")
a = p.parse_args()
torch.manual_seed(a.seed)
os.makedirs(f"{a.out}/1_Pooling", exist_ok=True)

tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
trainer = trainers.WordPieceTrainer(vocab_size=220, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
tokenizer.train_from_iterator(TEXTS * 3, trainer)
tokenizer.post_processor = processors.TemplateProcessing(
    single="[CLS] $A [SEP]", special_tokens=[("[CLS]", tokenizer.token_to_id("[CLS]")), ("[SEP]", tokenizer.token_to_id("[SEP]"))])
tokenizer.enable_truncation(24)
tokenizer.enable_padding(length=24)
tokenizer.save(f"{a.out}/tokenizer.json")

config = BertConfig(vocab_size=tokenizer.get_vocab_size(), hidden_size=a.hidden, num_hidden_layers=a.layers, num_attention_heads=a.heads,
                    intermediate_size=2 * a.hidden, max_position_embeddings=40, initializer_range=0.5)
model = BertModel(config).eval()
model.save_pretrained(a.out)
with open(f"{a.out}/1_Pooling/config.json", "w") as f:
    json.dump({"word_embedding_dimension": a.hidden, "pooling_mode_cls_token": a.cls, "pooling_mode_mean_tokens": not a.cls,
               "pooling_mode_max_tokens": False}, f)
batch = tokenizer.encode_batch(TEXTS)
ids = torch.tensor([e.ids for e in batch]); mask = torch.tensor([e.attention_mask for e in batch])
with torch.no_grad():
    states = model(input_ids=ids, attention_mask=mask).last_hidden_state
pooled = states[:, 0] if a.cls else (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
pooled = torch.nn.functional.normalize(pooled, dim=1)
with open(f"{a.out}/expected.json", "w") as f:
    json.dump({"texts": TEXTS, "embeddings": [[round(v, 7) for v in row] for row in pooled.tolist()]}, f, ensure_ascii=False)
print(a.out, tuple(pooled.shape))
