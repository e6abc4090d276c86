from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait


def shows(driver, text):
    output = driver.find_element(By.TAG_NAME, "output")
    return WebDriverWait(driver, 30).until(lambda _: output.text == text)


def test_registers_and_logs_in(site, fido_driver):
    fido_driver.get(site.url)
    fido_driver.find_element(By.ID, "register").click()
    assert shows(fido_driver, "registered")
    fido_driver.find_element(By.ID, "login").click()
    assert shows(fido_driver, "logged in")


def test_another_key(site, fido_driver, fido_browser, virtual_tokens):
    fido_driver.get(site.url)
    fido_driver.find_element(By.ID, "register").click()
    assert shows(fido_driver, "registered")
    fido_browser.token = virtual_tokens["borrowed"]
    fido_driver.find_element(By.ID, "login").click()
    assert shows(fido_driver, "NotAllowedError")
