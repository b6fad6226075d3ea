//! Thumbnails of what is in sight, asked of whom they come from.

use crate::panels::results;
use crate::state::State;
use crate::state::files::Info;
use crate::work::Work;
use crate::work::far::{MOST, Object};
use crate::work::objects::url_of;

/// Asks for the thumbnails of these files and results, in place of those that were asked for before.
pub fn ask(state: &State, work: &Work, wanted: &[u64]) {
    let (mut here, mut far) = (Vec::new(), Vec::new());
    for id in wanted {
        let object = |path: std::path::PathBuf, header| Object {
            id: *id,
            path,
            header,
            services: work.services.clone(),
        };
        if let Some(output) = results::output_of(state, *id) {
            match url_of(&output) {
                None => here.push((*id, output, false)),
                Some(_) if state.far => far.push(object(output, false)),
                Some(_) => {}
            }
            continue;
        }
        let Some(entry) = state.files.get(*id) else {
            continue;
        };
        let path = entry.input.path.clone();
        if url_of(&path).is_none() {
            here.push((*id, path, entry.info == Info::Unread));
        } else if state.far && entry.bytes <= MOST && !matches!(entry.info, Info::Broken(_)) {
            far.push(object(path, entry.info == Info::Far));
        }
    }
    work.shelf.in_sight(here);
    work.far.in_sight(far);
}
