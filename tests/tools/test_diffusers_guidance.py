"""What guidance and negative prompts do in each family, counted in rows through its transformer."""

from tests.tools.tiny_tools import build, changed, differs, red, rows_of_passes


def test_qwen_image_guides_with_a_second_pass_only_where_a_negative_prompt_is_given():
    tool = build("qwen-image")
    rows = rows_of_passes(tool)
    tool.generate(["red circle", "red"], [1, 2])
    assert rows == [2] * 4
    rows.clear()
    # The same call without the profile: guidance 4 is asked for, and silently not had.
    arguments = tool.profile.call()
    tool.pipeline(prompt=["red circle", "red"], **arguments)  # pyright: ignore[reportCallIssue]
    assert arguments["true_cfg_scale"] == 4.0
    assert rows == [2] * 2
    rows.clear()
    red(tool, guidance=1.0)
    assert rows == [1] * 2


def test_guidance_and_negative_prompt_change_qwen_images_picture():
    tool = build("qwen-image")
    guided = red(tool, guidance=8.0)
    assert differs(red(tool, guidance=1.0), guided) > 1
    assert differs(guided, red(tool, guidance=8.0, negative_prompt="blurry circle")) > 1


def test_sana_guides_in_one_doubled_pass():
    tool = build("sana-1.5-1.6b")
    rows = rows_of_passes(tool)
    tool.generate(["red", "circle"], [1, 2])
    red(tool, guidance=1.0)
    assert rows == [4, 4, 1, 1]


def test_z_image_turbo_takes_one_pass_though_its_pipeline_would_guide():
    tool = build("z-image-turbo")
    rows = rows_of_passes(tool)
    tool.generate(["red", "circle"], [1, 2])
    red(tool, guidance=1.0)
    assert rows == [2, 2, 2, 2]  # two rows of two prompts, then two of one


def test_distilled_guidance_of_flux_is_an_input_and_no_second_pass():
    tool = build("flux-8step")
    rows = rows_of_passes(tool)
    assert differs(red(tool, guidance=0.0), red(tool, guidance=50.0)) >= 1
    assert rows == [1] * 4


def test_a_negative_prompt_of_a_call_goes_before_the_profiles():
    tool = build("sana-1.5-1.6b")
    own = changed(tool, negative_prompt="blurry")
    assert differs(red(own), red(tool)) > 1
    assert differs(red(own), red(tool, negative_prompt="blurry")) <= 1
    assert differs(red(own, negative_prompt="circle"), red(tool, negative_prompt="circle")) <= 1
