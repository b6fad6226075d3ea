//! The seam to libwebp: one bitstream to pixels and back.

use super::container::bad;
use crate::error::{Error, Limit, Result};
use crate::image::{Color, Shape};
use libwebp_sys as sys;
use std::os::raw::c_int;

/// Decodes a bitstream whose size is known to be that of `shape`.
pub(super) fn decode(bytes: &[u8], shape: Shape) -> Result<Vec<u8>> {
    let broken = || Error::Decode("libwebp is of another version than its header".into());
    let mut config = sys::WebPDecoderConfig::new().map_err(|()| broken())?;
    // SAFETY: libwebp reads at most `bytes.len()` bytes.
    let status = unsafe { sys::WebPGetFeatures(bytes.as_ptr(), bytes.len(), &mut config.input) };
    check(status)?;
    let found = (config.input.width as usize, config.input.height as usize);
    if found != (shape.cols, shape.rows) {
        return Err(bad("two headers that differ"));
    }
    let mut samples = vec![0; shape.bytes()];
    config.output.colorspace = match shape.color {
        Color::Rgba => sys::WEBP_CSP_MODE::MODE_RGBA,
        _ => sys::WEBP_CSP_MODE::MODE_RGB,
    };
    config.output.is_external_memory = 1;
    config.output.u.RGBA = sys::WebPRGBABuffer {
        rgba: samples.as_mut_ptr(),
        stride: shape.row_bytes() as c_int,
        size: samples.len(),
    };
    // SAFETY: the output is `samples`, whose size and stride libwebp checks against the picture's;
    // it outlives the call.
    let status = unsafe {
        let status = sys::WebPDecode(bytes.as_ptr(), bytes.len(), &mut config);
        sys::WebPFreeDecBuffer(&mut config.output);
        status
    };
    check(status)?;
    Ok(samples)
}

fn check(status: sys::VP8StatusCode) -> Result<()> {
    use sys::VP8StatusCode as Status;
    match status {
        Status::VP8_STATUS_OK => Ok(()),
        Status::VP8_STATUS_NOT_ENOUGH_DATA | Status::VP8_STATUS_SUSPENDED => Err(Error::Decode(
            "truncated WebP: the picture ends too early".into(),
        )),
        Status::VP8_STATUS_OUT_OF_MEMORY => {
            Err(Limit::Memory.exceeded("no memory to decode a WebP"))
        }
        Status::VP8_STATUS_UNSUPPORTED_FEATURE => Err(bad("a feature that libwebp does not know")),
        _ => Err(bad("its bitstream is corrupt")),
    }
}

/// Encodes RGB or RGBA samples, losslessly where no quality is given.
pub(super) fn encode(samples: &[u8], shape: Shape, quality: Option<u8>) -> Result<Vec<u8>> {
    assert_eq!(samples.len(), shape.bytes());
    let broken = || Error::Encode("libwebp is of another version than its header".into());
    let mut config = sys::WebPConfig::new().map_err(|()| broken())?;
    match quality {
        Some(quality) => config.quality = f32::from(quality),
        None => {
            config.lossless = 1;
            // Colours under full transparency are kept as well.
            config.exact = 1;
            config.quality = 70.0;
        }
    }
    let mut picture = sys::WebPPicture::new().map_err(|()| broken())?;
    let mut out: Vec<u8> = Vec::new();
    picture.use_argb = c_int::from(quality.is_none());
    picture.width = shape.cols as c_int;
    picture.height = shape.rows as c_int;
    picture.writer = Some(append);
    picture.custom_ptr = (&raw mut out).cast();
    let stride = shape.row_bytes() as c_int;
    // SAFETY: `samples` holds rows of that stride; `out` outlives the calls and is reached through
    // `custom_ptr` alone meanwhile; the picture is freed whatever comes out.
    let sound = unsafe {
        let imported = match shape.color {
            Color::Rgba => sys::WebPPictureImportRGBA(&mut picture, samples.as_ptr(), stride),
            _ => sys::WebPPictureImportRGB(&mut picture, samples.as_ptr(), stride),
        };
        let sound = imported != 0 && sys::WebPEncode(&config, &mut picture) != 0;
        sys::WebPPictureFree(&mut picture);
        sound
    };
    match sound {
        true => Ok(out),
        false => Err(Error::Encode(format!(
            "libwebp could not encode it: {:?}",
            picture.error_code
        ))),
    }
}

unsafe extern "C" fn append(
    data: *const u8,
    len: usize,
    picture: *const sys::WebPPicture,
) -> c_int {
    if len > 0 {
        // SAFETY: libwebp hands `len` bytes, and the vector given as `custom_ptr`.
        unsafe {
            let out = (*picture).custom_ptr.cast::<Vec<u8>>();
            (*out).extend_from_slice(std::slice::from_raw_parts(data, len));
        }
    }
    1
}
