//! Asks for previews.

use crate::state::State;
use crate::state::files::Info;
use crate::state::view::Exactness;
use crate::work::{Work, preview};

/// Asks for the preview of the file and pipeline as they stand.
pub fn ask_preview(state: &mut State, work: &Work) {
    let view = &mut state.view;
    view.serial += 1;
    let current = state
        .files
        .shown_file()
        .map(|e| (e.id, e.input.path.clone(), e.info.clone()));
    if view.file != current.as_ref().map(|c| c.0) {
        (view.before, view.after) = (None, None);
        view.exactness = Exactness::None;
        view.file = current.as_ref().map(|c| c.0);
        (view.zoom, view.center) = (None, (0.5, 0.5));
    }
    let Some((file, path, info)) = current else {
        view.busy = false;
        return work.preview.cancel();
    };
    let asked = match (info, state.edit.pipeline()) {
        (Info::Broken(why), _) => Err(why),
        (_, Err(error)) => Err(error.to_string()),
        (_, Ok(pipeline)) => state
            .setup
            .look(Vec::new(), &pipeline)
            .map(|job| (job, pipeline)),
    };
    match asked {
        Ok((job, pipeline)) => {
            view.busy = true;
            work.preview.ask(preview::Request {
                serial: view.serial,
                file,
                path,
                services: work.services.clone(),
                job,
                pipeline,
            });
        }
        Err(why) => {
            view.busy = false;
            view.exactness = Exactness::Failed(why);
            work.preview.cancel();
        }
    }
}
