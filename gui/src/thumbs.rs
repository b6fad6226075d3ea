//! Thumbnails as textures, as many as are worth their memory.

use crate::picture::Picture;
use crate::state::run::OUTPUT;
use eframe::egui::{ColorImage, Context, TextureHandle, TextureOptions};
use std::collections::{HashMap, HashSet};

/// Thumbnails that are kept.
const MOST: usize = 500;

/// Thumbnails by the numbers of their files.
#[derive(Default)]
pub struct Thumbs {
    made: HashMap<u64, (TextureHandle, u64)>,
    without: HashSet<u64>,
    asked: Vec<u64>,
    clock: u64,
}

/// The picture as egui takes it.
pub fn color_image(picture: &Picture) -> ColorImage {
    ColorImage::from_rgba_unmultiplied([picture.width, picture.height], &picture.rgba)
}

impl Thumbs {
    /// A file's thumbnail, if it is there.
    pub fn get(&self, id: u64) -> Option<&TextureHandle> {
        self.made.get(&id).map(|(texture, _)| texture)
    }

    /// Whether it is known that a file has none.
    pub fn has_none(&self, id: u64) -> bool {
        self.without.contains(&id)
    }

    /// Takes one in; the one that was not in sight for longest goes.
    pub fn put(&mut self, ctx: &Context, id: u64, picture: Result<Picture, String>) {
        let Ok(picture) = picture else {
            self.without.insert(id);
            return;
        };
        let texture = ctx.load_texture(
            format!("thumbnail {id}"),
            color_image(&picture),
            TextureOptions::LINEAR,
        );
        self.made.insert(id, (texture, self.clock));
        if self.made.len() > MOST
            && let Some(oldest) = self
                .made
                .iter()
                .min_by_key(|(id, (_, seen))| (*seen, **id))
                .map(|(id, _)| *id)
        {
            self.made.remove(&oldest);
        }
    }

    /// Files in sight: those that have no thumbnail yet, if they are others than when this was asked last.
    pub fn in_sight(&mut self, ids: &[u64]) -> Option<Vec<u64>> {
        self.clock += 1;
        for id in ids {
            if let Some((_, seen)) = self.made.get_mut(id) {
                *seen = self.clock;
            }
        }
        let missing = |id: &&u64| !self.made.contains_key(id) && !self.without.contains(id);
        let wanted: Vec<u64> = ids.iter().filter(missing).copied().collect();
        let news = wanted.iter().any(|id| !self.asked.contains(id));
        if news {
            self.asked = wanted.clone();
        }
        news.then_some(wanted)
    }

    /// Forgets those of results, as other results come under their numbers.
    pub fn forget_outputs(&mut self) {
        self.made.retain(|id, _| *id & OUTPUT == 0);
        self.without.retain(|id| *id & OUTPUT == 0);
        self.asked.clear();
    }

    /// Asks again for what is in sight.
    pub fn look_again(&mut self) {
        self.asked.clear();
    }

    /// Forgets what was asked for, as its source is gone.
    pub fn clear(&mut self) {
        *self = Thumbs::default();
    }
}
