//! Files of several pictures: which of them are wanted, which outputs they come to, and writing one output picture by
//! picture.

use crate::atomic::{Digested, Pending, Sealed};
use crate::settings::Settings;
use crate::task::{OutputFile, told};
use imaging::codec::{self, Format, Header, KeepMetadata, NextPage, PageKind, RowSink};
use imaging::{Error, Metadata, Result, Shape, WarningKind};
use protocol::{Pages, Warning};
use std::path::Path;

/// The pictures of a file that are processed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// For each output its pages, from 0.
    pub outputs: Vec<Vec<u32>>,
    /// Whether the outputs are called by their pages.
    pub numbered: bool,
    /// What is left out unasked.
    pub warnings: Vec<Warning>,
}

/// Chooses among the pictures of a file with that header, for outputs of that format.
pub fn select(settings: &Settings, header: &Header, format: &Format) -> Result<Selection> {
    let count = header.pages.max(1);
    let wanted: Vec<u32> = settings.pages.among(count).collect();
    if wanted.is_empty() {
        let s = if count == 1 { "" } else { "s" };
        return Err(Error::Unsuitable(format!(
            "the file has {count} page{s}, and --pages {} names none of them",
            settings.pages
        )));
    }
    let animation = header.page_kind == PageKind::Animation;
    let together = format.holds_pages() || (animation && format.holds_animation());
    let mut selection = Selection::default();
    let mut warn = |text: String| {
        let warning = imaging::Warning::new(WarningKind::Dropped, text);
        selection.warnings.push(told(&warning));
    };
    // Where one picture is wanted of an animation that has one for it, that is it.
    let still = header.still.then_some(count);
    if settings.pages == Pages::First {
        selection.outputs = vec![vec![still.unwrap_or(0)]];
    } else if count == 1 || together {
        if still.is_some() && settings.pages == Pages::All {
            warn(
                "the picture for programs without animations is no frame and is left out (--pages first takes it)"
                    .into(),
            );
        }
        selection.outputs = vec![wanted];
    } else if animation && settings.pages == Pages::All {
        let what = format.kind().name();
        let which = match still {
            Some(_) => "the picture for such programs, not one",
            None => "the first",
        };
        warn(format!(
            "{what} holds no animation: {which} of {count} frames is written (give --format gif, or --pages 1..{count} for a file each)"
        ));
        selection.outputs = vec![vec![still.unwrap_or(0)]];
    } else {
        selection.numbered = true;
        selection.outputs = wanted.into_iter().map(|page| vec![page]).collect();
    }
    Ok(selection)
}

/// An output that is written picture by picture.
pub struct Pictures {
    pending: Pending,
    format: Format,
    keep: KeepMetadata,
    /// Pictures that are not ended yet.
    left: usize,
    several: bool,
    next: Option<Box<dyn NextPage>>,
}

impl Pictures {
    /// Opens the output; nothing of it is seen before [`Pictures::commit`].
    pub fn create(
        settings: &Settings,
        file: &OutputFile,
        input: &Path,
        format: Format,
    ) -> Result<Pictures> {
        Ok(Pictures {
            pending: settings.pending(&protocol::name::to_path(&file.output), input)?,
            format,
            keep: settings.keep,
            left: file.pages.len(),
            several: file.pages.len() > 1,
            next: None,
        })
    }

    /// An encoder for the next picture.
    pub fn begin(&mut self, shape: Shape, metadata: &Metadata) -> Result<Box<dyn RowSink>> {
        if let Some(next) = self.next.take() {
            return next.begin(shape, &self.keep.filter(metadata));
        }
        let mut metadata = metadata.clone();
        metadata.pages = self.left as u32;
        let output = Box::new(self.pending.writer());
        codec::create(output, &self.format, shape, &metadata, self.keep)
    }

    /// Ends a picture, and the file after its last.
    pub fn end(&mut self, sink: Box<dyn RowSink>) -> Result<()> {
        self.left -= 1;
        match (self.several, self.left) {
            (false, _) => sink.finish(),
            (true, 0) => sink.finish_page()?.end(),
            (true, _) => {
                self.next = Some(sink.finish_page()?);
                Ok(())
            }
        }
    }

    /// Gives the output its name.
    pub fn commit(self) -> Result<Digested> {
        Ok(self.pending.commit()?)
    }

    /// Ends the output, which then waits for the disk and its name.
    pub fn seal(self) -> Result<Sealed> {
        Ok(self.pending.seal()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use imaging::codec::FormatKind;

    fn header(pages: u32, page_kind: PageKind) -> Header {
        let gray = b"P5 1 1 255\n\0";
        let mut input = std::io::Cursor::new(gray.to_vec());
        let header = codec::probe(&mut input, &codec::Limits::default()).unwrap();
        Header {
            pages,
            page_kind,
            still: false,
            ..header
        }
    }

    fn selected(pages: &str, header: &Header, format: FormatKind) -> Result<Selection> {
        let job = protocol::Job {
            pages: pages.parse().unwrap(),
            ..protocol::Job::default()
        };
        let settings = Settings::of(&job).unwrap();
        select(&settings, header, &Format::of(format))
    }

    #[test]
    fn pages_go_where_they_fit() {
        let pages = header(3, PageKind::Pages);
        for (asked, format, outputs, numbered) in [
            ("all", FormatKind::Tiff, vec![vec![0, 1, 2]], false),
            ("2..3", FormatKind::Tiff, vec![vec![1, 2]], false),
            (
                "all",
                FormatKind::Png,
                vec![vec![0], vec![1], vec![2]],
                true,
            ),
            ("first", FormatKind::Png, vec![vec![0]], false),
            ("2..9", FormatKind::Bmp, vec![vec![1], vec![2]], true),
            ("3", FormatKind::Bmp, vec![vec![2]], true),
        ] {
            let found = selected(asked, &pages, format).unwrap();
            assert_eq!(
                (found.outputs, found.numbered),
                (outputs, numbered),
                "{asked}"
            );
            assert!(found.warnings.is_empty());
        }
        let error = selected("4..5", &pages, FormatKind::Png).unwrap_err();
        assert!(error.to_string().contains("has 3 pages"), "{error}");
        let one = header(1, PageKind::Pages);
        assert!(!selected("all", &one, FormatKind::Png).unwrap().numbered);
    }

    #[test]
    fn frames_that_a_format_cannot_hold_are_told_of() {
        let frames = header(3, PageKind::Animation);
        let found = selected("all", &frames, FormatKind::Bmp).unwrap();
        assert_eq!(found.outputs, [[0]]);
        assert_eq!(found.warnings[0].kind, "dropped");
        assert!(found.warnings[0].text.contains("first of 3 frames"));
        let first = selected("first", &frames, FormatKind::Bmp).unwrap();
        assert!(first.warnings.is_empty());
        let each = selected("1..3", &frames, FormatKind::Bmp).unwrap();
        assert_eq!((each.outputs.len(), each.numbered), (3, true));
        // A picture for such programs comes after the last frame.
        let still = Header {
            still: true,
            ..frames
        };
        let found = selected("all", &still, FormatKind::Bmp).unwrap();
        assert_eq!(found.outputs, [[3]]);
        assert!(found.warnings[0].text.contains("of 3 frames"));
        let first = selected("first", &still, FormatKind::Png).unwrap();
        assert_eq!((first.outputs, first.warnings), (vec![vec![3]], vec![]));
        let all = selected("all", &still, FormatKind::Png).unwrap();
        assert_eq!(all.outputs, [[0, 1, 2]]);
        assert!(all.warnings[0].text.contains("--pages first"));
    }
}
